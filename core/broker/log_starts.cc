#include "core/broker/log_starts.h"

namespace chronik::broker {

using protocol::ErrorCode;

namespace {

bool is_of_records(ErrorCode error) {
  switch (error) {
    case ErrorCode::kInvalidRecord:
    case ErrorCode::kInvalidTimestamp:
    case ErrorCode::kUnsupportedCompressionType:
    case ErrorCode::kOutOfOrderSequenceNumber:
    case ErrorCode::kInvalidProducerEpoch:
    case ErrorCode::kUnknownProducerId: return true;
    default: return false;
  }
}

}  // namespace

void tell_log_starts(const HostedTopic* hosted, protocol::ProduceTopicResponse& answers) {
  for (protocol::ProducePartitionResponse& answer : answers.partition_responses) {
    Ref<replication::Partition> partition;
    if (hosted != nullptr && is_of_records(answer.error_code) &&
        hosted->find(answer.index, partition) == ErrorCode::kNone) {
      answer.log_start_offset = partition->log().log_start();
    }
  }
}

}  // namespace chronik::broker
