#include "core/broker/reception.h"

#include "core/broker/api_versions.h"
#include "core/broker/connection.h"
#include "core/protocol/api_versions.h"
#include "core/protocol/messages/find_coordinator.h"
#include "core/protocol/messages/init_producer_id.h"
#include "core/protocol/messages/metadata.h"

namespace chronik::broker {

using protocol::ApiKey;
using protocol::ErrorCode;

namespace {

constexpr Duration kAdmittedSoon = Duration::seconds(1);
constexpr const char* kNotServing = "this node does not serve yet";

// Without any broker it is no metadata yet: clients keep the addresses that they were given, and ask again.
void answer_without_brokers(Request& request, const protocol::MetadataRequest& /*asked*/) {
  protocol::MetadataResponse response;
  response.controller_id = NodeId::none();
  request.reply(response);
}

void answer_without_coordinator(Request& request, const protocol::FindCoordinatorRequest& asked) {
  protocol::FindCoordinatorResponse response;
  for (const std::string& key : asked.coordinator_keys) {
    response.coordinators.push_back({.key = key,
                                     .node_id = NodeId::none(),
                                     .port = -1,
                                     .error_code = ErrorCode::kCoordinatorNotAvailable,
                                     .error_message = kNotServing});
  }
  request.reply(response);
}

// As long as no block of ids has come.
void answer_without_id(Request& request, const protocol::InitProducerIdRequest& /*asked*/) {
  protocol::InitProducerIdResponse response;
  response.error_code = ErrorCode::kCoordinatorLoadInProgress;
  request.reply(response);
}

template <typename M>
void decode_and_put_off(Request& request, void (*answer)(Request& request, const M& asked)) {
  const StatusOr<M> asked = protocol::decode<M>(request.body, request.header.version);
  if (!asked.ok()) {
    return request.answer.close("malformed request");
  }
  answer(request, *asked);
}

bool waits_for_the_broker(const protocol::RequestHeader& header) {
  const protocol::Api* api = protocol::find_api(header.api);
  return api != nullptr && api->implemented.contains(header.version) &&
         (api->key == ApiKey::kMetadata || api->key == ApiKey::kFindCoordinator || api->key == ApiKey::kInitProducerId);
}

}  // namespace

void Reception::admit(RequestHandler& broker) {
  broker_ = &broker;
  admitted_.notify_all();
}

bool Reception::admitted_soon() {
  const Deadline deadline = fiber::within(kAdmittedSoon, Expiry::kNormal);
  while (broker_ == nullptr) {
    if (!admitted_.wait({WaitKind::kEvent, 0, 0, 0}, deadline).ok()) {
      return false;
    }
  }
  return true;
}

void Reception::handle(Request&& request) {
  if (broker_ != nullptr) {
    return broker_->handle(std::move(request));
  }
  if (request.header.api == ApiKey::kApiVersions) {
    if (!answer_api_versions(request).ok()) {
      request.answer.close("malformed request");
    }
    return;
  }
  if (!waits_for_the_broker(request.header)) {
    return request.answer.close(kNotServing);
  }
  if (admitted_soon()) {
    return broker_->handle(std::move(request));
  }
  switch (request.header.api) {
    case ApiKey::kMetadata: return decode_and_put_off(request, &answer_without_brokers);
    case ApiKey::kFindCoordinator: return decode_and_put_off(request, &answer_without_coordinator);
    default: return decode_and_put_off(request, &answer_without_id);
  }
}

}  // namespace chronik::broker
