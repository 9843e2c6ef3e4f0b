// The headers in front of requests and responses, and the 4-byte length in front of them.
//
//   request   length i32 | api key i16 | version i16 | correlation id i32 | client id (i16 length, -1: null) | [tags]
//   response  length i32 | correlation id i32 | [tags]
//
// [tags] only where the message's version is flexible, and never in an answer to ApiVersions: a client that asks for
// the versions of a broker cannot know yet how that broker writes its header. The client id keeps its two-byte length
// in flexible versions for the same reason.
#pragma once

#include <optional>
#include <string>

#include "core/protocol/message.h"

namespace chronik::protocol {

class Writer;

inline constexpr std::size_t kFrameLengthBytes = 4;

struct RequestHeader {
  ApiKey api{};
  std::int16_t version = 0;
  CorrelationId correlation_id;
  std::optional<std::string> client_id;
  bool operator==(const RequestHeader&) const = default;
};

struct ReceivedRequest {
  RequestHeader header;
  Slice body;
};

// Reads the header of a frame that came without its length. The version may be one that we do not have (ApiVersions
// must be answered nevertheless); then the body is what follows a header of that API's newest kind. kNotFound for an
// API that is not in the table, kInvalidArgument for bytes that are no header.
StatusOr<ReceivedRequest> decode_request_header(const Slice& frame);

struct ReceivedResponse {
  CorrelationId correlation_id;
  Slice body;
};

// Correlation id of a response frame that came without its length: enough to find the request that it answers.
StatusOr<CorrelationId> peek_correlation_id(const Slice& frame);
// Reads the header of a response to a request of this API and version.
StatusOr<ReceivedResponse> decode_response_header(const Slice& frame, ApiKey api, std::int16_t version);

constexpr bool response_header_has_tags(ApiKey api, bool flexible) { return flexible && api != ApiKey::kApiVersions; }

// For codec.h: length and header, where the whole frame has `frame_bytes`.
std::size_t request_prefix_bytes(const RequestHeader& header, bool flexible);
void write_request_prefix(Writer& writer, std::size_t frame_bytes, const RequestHeader& header, bool flexible);
constexpr std::size_t response_prefix_bytes(bool tags) { return kFrameLengthBytes + 4 + (tags ? 1 : 0); }
void write_response_prefix(Writer& writer, std::size_t frame_bytes, CorrelationId correlation_id, bool tags);

}  // namespace chronik::protocol
