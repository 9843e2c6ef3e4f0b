#include "core/protocol/headers.h"

#include "core/protocol/api_versions.h"
#include "core/protocol/reader.h"
#include "core/protocol/writer.h"

namespace chronik::protocol {
namespace {

std::int32_t length_field(std::size_t frame_bytes) {
  CHECK_GE(frame_bytes, kFrameLengthBytes);
  CHECK_LE(frame_bytes, kFrameBytesMax);
  return static_cast<std::int32_t>(frame_bytes - kFrameLengthBytes);
}

}  // namespace

StatusOr<ReceivedRequest> decode_request_header(const Slice& frame) {
  Reader reader(frame, 0, false);
  ReceivedRequest received;
  RequestHeader& header = received.header;
  reader.value(header.api);
  reader.value(header.version);
  reader.value(header.correlation_id);
  const Api* api = find_api(header.api);
  if (reader.ok() && api == nullptr) {
    return absl::NotFoundError(fmt::format("api {} is unknown", static_cast<int>(header.api)));
  }
  reader.old_nullable_text("ClientId", header.client_id);
  if (reader.ok() && header.version >= api->flexible_since) {
    reader.skip_tags();
  }
  RETURN_IF_ERROR(reader.status("RequestHeader"));
  received.body = frame.from(reader.position());
  return received;
}

StatusOr<CorrelationId> peek_correlation_id(const Slice& frame) {
  if (frame.size() < sizeof(std::int32_t)) {
    return absl::InvalidArgumentError("a response shorter than its correlation id");
  }
  return CorrelationId(load_big<std::int32_t>(frame.data()));
}

StatusOr<ReceivedResponse> decode_response_header(const Slice& frame, ApiKey api, std::int16_t version) {
  const Api* known = find_api(api);
  CHECK(known != nullptr);
  Reader reader(frame, version, false);
  ReceivedResponse received;
  reader.value(received.correlation_id);
  if (response_header_has_tags(api, version >= known->flexible_since)) {
    reader.skip_tags();
  }
  RETURN_IF_ERROR(reader.status("ResponseHeader"));
  received.body = frame.from(reader.position());
  return received;
}

std::size_t request_prefix_bytes(const RequestHeader& header, bool flexible) {
  const std::size_t client_id = header.client_id.has_value() ? sendable(*header.client_id).size() : 0;
  return kFrameLengthBytes + 2 + 2 + 4 + 2 + client_id + (flexible ? 1 : 0);
}

void write_request_prefix(Writer& writer, std::size_t frame_bytes, const RequestHeader& header, bool flexible) {
  writer.number(length_field(frame_bytes));
  writer.value(header.api);
  writer.number(header.version);
  writer.value(header.correlation_id);
  writer.old_nullable_text(header.client_id);
  if (flexible) {
    writer.unsigned_varint(0);
  }
}

void write_response_prefix(Writer& writer, std::size_t frame_bytes, CorrelationId correlation_id, bool tags) {
  writer.number(length_field(frame_bytes));
  writer.value(correlation_id);
  if (tags) {
    writer.unsigned_varint(0);
  }
}

}  // namespace chronik::protocol
