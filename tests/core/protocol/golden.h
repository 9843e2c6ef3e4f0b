// Messages written byte by byte from the format, so that encoder and decoder cannot be wrong together.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>

#include "core/base/endian.h"
#include "core/protocol/headers.h"
#include "core/protocol/message.h"

namespace chronik::protocol {

// Bytes in hex, with blanks for the eye, and text between single quotes: "0003 'abc' ff".
inline Slice bytes(std::string_view notation) {
  std::string out;
  const auto nibble = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  for (std::size_t i = 0; i < notation.size(); ++i) {
    if (notation[i] == '\'') {
      for (++i; notation[i] != '\''; ++i) {
        out += notation[i];
      }
    } else if (notation[i] != ' ') {
      out += static_cast<char>(nibble(notation[i]) * 16 + nibble(notation[i + 1]));
      ++i;
    }
  }
  return Slice::copy_of(out);
}

inline std::string hex(const Slice& slice) {
  std::string out;
  for (const std::uint8_t byte : slice.bytes()) {
    out += fmt::format("{:02x}", byte);
  }
  return out;
}

// The length in front of a frame, checked and cut off.
inline Slice without_length(const Slice& frame) {
  EXPECT_GE(frame.size(), kFrameLengthBytes);
  EXPECT_EQ(load_big<std::int32_t>(frame.data()), static_cast<std::int32_t>(frame.size() - kFrameLengthBytes));
  return frame.from(kFrameLengthBytes);
}

// A request frame that decodes to `header` and `message`, and is what they encode to.
template <typename M>
void expect_request(const RequestHeader& header, const M& message, const Slice& frame) {
  const StatusOr<ReceivedRequest> received = decode_request_header(frame);
  ASSERT_TRUE(received.ok()) << received.status();
  EXPECT_EQ(received->header, header);
  const StatusOr<M> decoded = decode<M>(received->body, header.version);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(*decoded, message) << to_text(*decoded, header.version);
  EXPECT_EQ(hex(without_length(encode_request(header, message).flat())), hex(frame));
}

template <typename M>
void expect_response(CorrelationId id, const M& message, std::int16_t version, const Slice& frame) {
  const StatusOr<ReceivedResponse> received = decode_response_header(frame, M::kTraits.api, version);
  ASSERT_TRUE(received.ok()) << received.status();
  EXPECT_EQ(received->correlation_id, id);
  const StatusOr<M> decoded = decode<M>(received->body, version);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(*decoded, message) << to_text(*decoded, version);
  EXPECT_EQ(hex(without_length(encode_response(id, message, version)->flat())), hex(frame));
}

inline RequestHeader header(ApiKey api, std::int16_t version, std::int32_t id, std::optional<std::string> client) {
  return {.api = api, .version = version, .correlation_id = CorrelationId(id), .client_id = std::move(client)};
}

// The same for a body alone: what it decodes to, and what that encodes to.
template <typename M>
void expect_body(const M& message, std::int16_t version, std::string_view notation) {
  SCOPED_TRACE(fmt::format("{} v{}", M::kTraits.name, version));
  const Slice body = bytes(notation);
  const StatusOr<M> decoded = decode<M>(body, version);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(*decoded, message) << to_text(*decoded, version);
  EXPECT_EQ(hex(encode(message, version)), hex(body));
}

}  // namespace chronik::protocol
