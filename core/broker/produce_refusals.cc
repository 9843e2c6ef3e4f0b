#include "core/broker/produce_refusals.h"

#include <string>
#include <utility>

namespace chronik::broker {

using protocol::ErrorCode;

bool refuse(protocol::ProducePartitionResponse& answer, ErrorCode error, std::string_view message) {
  answer.error_code = error;
  if (!message.empty()) {
    answer.error_message = std::string(message);
  }
  return false;
}

bool refuse_records(protocol::ProducePartitionResponse& answer, protocol::ProduceVerdict verdict, Offset log_start) {
  if (verdict.error != ErrorCode::kCorruptMessage && verdict.error != ErrorCode::kMessageTooLarge) {
    answer.log_start_offset = log_start;
  }
  for (protocol::RecordError& error : verdict.record_errors) {
    answer.record_errors.push_back(
        {.batch_index = error.batch_index, .batch_index_error_message = std::move(error.message)});
  }
  return refuse(answer, verdict.error, verdict.message);
}

bool refuse_append(protocol::ProducePartitionResponse& answer, ErrorCode error, Offset log_start) {
  if (error == ErrorCode::kOutOfOrderSequenceNumber || error == ErrorCode::kInvalidProducerEpoch ||
      error == ErrorCode::kUnknownProducerId) {
    answer.log_start_offset = log_start;
  }
  return refuse(answer, error);
}

}  // namespace chronik::broker
