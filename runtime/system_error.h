// Errors of the operating system as Status.
#pragma once

#include <string>
#include <string_view>

#include "core/base/status.h"

namespace chronik::runtime {

// "recv: Connection reset by peer".
std::string describe_error(std::string_view what, int error);
// The code that the disk port promises for an errno.
Status disk_error(std::string_view what, std::string_view path, int error);

}  // namespace chronik::runtime
