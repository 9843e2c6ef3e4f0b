// InitProducerId: an id for an idempotent producer. There are no transactions yet.
#include "core/protocol/messages/init_producer_id.h"
#include "core/broker/answering.h"

namespace chronik::broker {

using protocol::ErrorCode;
using protocol::InitProducerIdRequest;
using protocol::InitProducerIdResponse;

namespace {

// What is wrong with the request itself.
ErrorCode problem_of(const InitProducerIdRequest& asked) {
  // From version 3 on a producer may name its id and epoch: both or neither.
  if ((asked.producer_id == ProducerId::none()) != (asked.producer_epoch == ProducerEpoch::none())) {
    return ErrorCode::kInvalidRequest;
  }
  if (!asked.transactional_id.has_value()) {
    return ErrorCode::kNone;
  }
  // Nobody coordinates transactions here, and so the coordinator that this id would have is not available.
  return asked.transactional_id->empty() ? ErrorCode::kInvalidRequest : ErrorCode::kCoordinatorNotAvailable;
}

void init_producer_id(Broker& broker, Request& request, const InitProducerIdRequest& asked) {
  InitProducerIdResponse response;
  response.error_code = problem_of(asked);
  if (response.error_code == ErrorCode::kNone) {
    // A producer without transactions raises its epoch by itself (KIP-360). One that asks again has used up its epochs,
    // or has lost its place, and begins anew under another id.
    const StatusOr<ProducerId> id = broker.producer_ids().allocate(deadline_of(broker));
    if (id.ok()) {
      response.producer_id = *id;
      response.producer_epoch = ProducerEpoch(0);
    } else {
      // The first is what Kafka says while no block has come: clients try again.
      response.error_code =
          absl::IsInternal(id.status()) ? ErrorCode::kUnknownServerError : ErrorCode::kCoordinatorLoadInProgress;
    }
  }
  request.reply(response);
}

}  // namespace

void handle_init_producer_id(Broker& broker, Request&& request) {
  decode_and_answer<InitProducerIdRequest, &init_producer_id>("init-producer-id", broker, std::move(request));
}

}  // namespace chronik::broker
