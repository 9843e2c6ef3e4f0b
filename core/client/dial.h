// A connection to a host that is known by its name.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "core/base/deadline.h"
#include "core/base/status.h"
#include "core/ports/network.h"

namespace chronik::client {

// To the first of the host's addresses that takes it. Each has the same share of the time that is left, so that one
// that does not answer leaves some to the others. kNotFound: no such host; else the last address' error. Suspends.
StatusOr<std::unique_ptr<Connection>> dial(Network& network, std::string_view host, std::uint16_t port,
                                           const Deadline& deadline);

}  // namespace chronik::client
