// ApiVersions: what this broker speaks. Answered at any version, known or not (KIP-511).
#include "core/broker/api_versions.h"

#include <absl/strings/ascii.h>

#include <algorithm>
#include <string_view>

#include "core/broker/broker.h"
#include "core/broker/handlers.h"
#include "core/protocol/api_versions.h"
#include "core/protocol/messages/api_versions.h"

namespace chronik::broker {

using protocol::ApiVersionsRequest;
using protocol::ApiVersionsResponse;
using protocol::ErrorCode;

namespace {

// Kafka's rule for what a client calls itself and its version: letters and digits, '-' and '.' between them.
bool is_software_name(std::string_view text) {
  const auto between = [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.';
  };
  return !text.empty() && absl::ascii_isalnum(static_cast<unsigned char>(text.front())) &&
         absl::ascii_isalnum(static_cast<unsigned char>(text.back())) && std::all_of(text.begin(), text.end(), between);
}

bool says_who_it_is(const ApiVersionsRequest& asked) {
  return is_software_name(asked.client_software_name) && is_software_name(asked.client_software_version);
}

}  // namespace

Status answer_api_versions(Request& request) {
  const protocol::Api& self = *protocol::find_api(protocol::ApiKey::kApiVersions);
  ApiVersionsResponse response;
  if (!self.implemented.contains(request.header.version)) {
    // The client cannot read a version that we have not; it can read version 0, which says what we have.
    request.header.version = 0;
    response.error_code = ErrorCode::kUnsupportedVersion;
  } else if (const auto asked = protocol::decode<ApiVersionsRequest>(request.body, request.header.version);
             !asked.ok()) {
    return asked.status();
  } else if (request.header.version >= 3 && !says_who_it_is(*asked)) {
    response.error_code = ErrorCode::kInvalidRequest;
  }
  for (const protocol::Api& api : protocol::all_apis()) {
    if (response.error_code == ErrorCode::kNone ||
        (response.error_code == ErrorCode::kUnsupportedVersion && api.key == self.key)) {
      response.api_keys.push_back(
          {.api_key = api.key, .min_version = api.advertised.min, .max_version = api.advertised.max});
    }
  }
  request.reply(response);
  return ok();
}

void handle_api_versions(Broker& broker, Request&& request) {
  if (const Status answered = answer_api_versions(request); !answered.ok()) {
    broker.refuse_malformed(request, answered);
  }
}

}  // namespace chronik::broker
