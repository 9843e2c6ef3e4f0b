#include "core/broker/produced_batch.h"

#include "core/log/batch_producer.h"
#include "core/protocol/record_batch_compress.h"

namespace chronik::broker {

log::BatchSummary summary_of(const protocol::ProduceVerdict& verdict) {
  const protocol::RecordBatchView& batch = verdict.batch;
  log::BatchSummary summary;
  summary.record_count = batch.record_count();
  summary.max_timestamp = verdict.max_timestamp;
  summary.offset_of_max_timestamp = Offset(verdict.max_timestamp_offset_delta);
  summary.producer = log::producer_of(batch);
  return summary;
}

protocol::ProduceChecks checks_of(const cluster::TopicSettings& settings, std::int16_t version, WallTime now) {
  protocol::ProduceChecks checks;
  checks.message_bytes_max = settings.max_message_bytes;
  checks.timestamp_type =
      settings.log_append_time ? protocol::TimestampType::kLogAppendTime : protocol::TimestampType::kCreateTime;
  checks.timestamp_before_ms_max = settings.timestamp_before_ms_max;
  checks.timestamp_after_ms_max = settings.timestamp_after_ms_max;
  checks.compacted = settings.compacts;
  checks.produce_version = version;
  checks.now = now;
  checks.decompressed_bytes_max = protocol::default_decompressed_bytes_max(settings.max_message_bytes);
  return checks;
}

Status recompress_for(const cluster::TopicSettings& settings, protocol::Codec produced, protocol::Codecs& codecs,
                      Slice& records) {
  if (!settings.codec.has_value() || *settings.codec == produced) {
    return ok();
  }
  ASSIGN_OR_RETURN(records, protocol::recompress(records, *settings.codec,
                                                 protocol::default_decompressed_bytes_max(settings.max_message_bytes),
                                                 codecs, settings.max_message_bytes));
  return ok();
}

}  // namespace chronik::broker
