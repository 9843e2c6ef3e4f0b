// What needs no broker to be answered.
#pragma once

#include "core/base/status.h"
#include "core/broker/request.h"

namespace chronik::broker {

// Says what this program speaks. Not ok: the request cannot be decoded, and is not answered.
Status answer_api_versions(Request& request);

}  // namespace chronik::broker
