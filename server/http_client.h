// One page of another process, over HTTP.
#pragma once

#include <string>

#include "core/base/status.h"
#include "core/base/time.h"
#include "server/http_server.h"
#include "server/values.h"

namespace chronik::server {

// With `api_key` in the header X-API-Key, unless it is empty. kUnavailable: there came no answer; the message says why.
StatusOr<HttpPage> http_get(const HostPort& at, const std::string& path, const std::string& api_key, Duration patience);
// The same with a body of JSON.
StatusOr<HttpPage> http_post(const HostPort& at, const std::string& path, const std::string& body,
                             const std::string& api_key, Duration patience);

}  // namespace chronik::server
