// ApiVersions: what this broker speaks. Answered at any version, known or not (KIP-511).
#include "core/protocol/api_versions.h"
#include "core/broker/broker.h"
#include "core/broker/handlers.h"
#include "core/protocol/messages/api_versions.h"

namespace chronik::broker {

using protocol::ApiVersionsRequest;
using protocol::ApiVersionsResponse;
using protocol::ErrorCode;

void handle_api_versions(Broker& broker, Request&& request) {
  const protocol::Api& self = *protocol::find_api(protocol::ApiKey::kApiVersions);
  ApiVersionsResponse response;
  if (!self.implemented.contains(request.header.version)) {
    // The client cannot read a version that we have not; it can read version 0, which says what we have.
    request.header.version = 0;
    response.error_code = ErrorCode::kUnsupportedVersion;
  } else if (const auto asked = protocol::decode<ApiVersionsRequest>(request.body, request.header.version);
             !asked.ok()) {
    return broker.refuse_malformed(request, asked.status());
  }
  for (const protocol::Api& api : protocol::all_apis()) {
    if (response.error_code == ErrorCode::kNone || api.key == self.key) {
      response.api_keys.push_back(
          {.api_key = api.key, .min_version = api.advertised.min, .max_version = api.advertised.max});
    }
  }
  request.reply(response);
}

}  // namespace chronik::broker
