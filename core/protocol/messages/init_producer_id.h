// InitProducerId: an id for an idempotent or transactional producer, or the next epoch of one.
#pragma once

#include <optional>
#include <string>

#include "core/protocol/errors.h"
#include "core/protocol/message.h"

namespace chronik::protocol {

struct InitProducerIdRequest {
  std::optional<std::string> transactional_id;
  std::int32_t transaction_timeout_ms = 0;
  ProducerId producer_id;  // none: a new one
  ProducerEpoch producer_epoch;
  bool operator==(const InitProducerIdRequest&) const = default;
  static constexpr MessageTraits kTraits{"InitProducerIdRequest", ApiKey::kInitProducerId, MessageKind::kRequest,
                                         versions(0, 5), 2};
  static void fields(auto& op, auto& m) {
    op.field("TransactionalId", since(0), m.transactional_id, nullable_since(0));
    op.field("TransactionTimeoutMs", since(0), m.transaction_timeout_ms);
    op.field("ProducerId", since(3), m.producer_id);
    op.field("ProducerEpoch", since(3), m.producer_epoch);
  }
};

struct InitProducerIdResponse {
  std::int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;
  ProducerId producer_id;
  ProducerEpoch producer_epoch;
  bool operator==(const InitProducerIdResponse&) const = default;
  static constexpr MessageTraits kTraits{"InitProducerIdResponse", ApiKey::kInitProducerId, MessageKind::kResponse,
                                         versions(0, 5), 2};
  static void fields(auto& op, auto& m) {
    op.field("ThrottleTimeMs", since(0), m.throttle_time_ms);
    op.field("ErrorCode", since(0), m.error_code);
    op.field("ProducerId", since(0), m.producer_id);
    op.field("ProducerEpoch", since(0), m.producer_epoch);
  }
};

}  // namespace chronik::protocol
