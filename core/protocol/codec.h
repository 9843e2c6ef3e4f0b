// What message.h promises, made of the operators. Included by the .cc of each message and by nothing else: each
// function is instantiated once for each message, by CHRONIK_MESSAGE.
#pragma once

#include <string>
#include <utility>

#include "core/protocol/describer.h"
#include "core/protocol/generator.h"
#include "core/protocol/headers.h"
#include "core/protocol/message.h"
#include "core/protocol/message_type.h"
#include "core/protocol/printer.h"
#include "core/protocol/reader.h"
#include "core/protocol/writer.h"

namespace chronik::protocol {

template <typename M>
StatusOr<M> decode(const Slice& body, std::int16_t version) {
  if (!M::kTraits.versions.contains(version)) [[unlikely]] {
    return version_not_covered(M::kTraits, version);
  }
  Reader reader(body, version, M::kTraits.flexible(version));
  StatusOr<M> message(absl::in_place);
  reader.structure(*message);
  if (!reader.ok()) [[unlikely]] {
    message = reader.status(M::kTraits.name);
  }
  return message;
}

template <typename M>
Sizer sized(const M& message, std::int16_t version) {
  CHECK(M::kTraits.versions.contains(version));
  Sizer sizer(version, M::kTraits.flexible(version));
  sizer.structure(message);
  return sizer;
}

template <typename M>
std::size_t encoded_size(const M& message, std::int16_t version) {
  return sized(message, version).total();
}

// The frame of a message that was sized, behind `prefix_bytes` that `prefix` writes.
template <typename M, typename Prefix>
Frame encode_behind(std::size_t prefix_bytes, Prefix prefix, const Sizer& sizer, const M& message,
                    std::int16_t version) {
  Writer writer(version, M::kTraits.flexible(version), prefix_bytes + sizer.total() - sizer.by_reference());
  prefix(writer, prefix_bytes + sizer.total());
  writer.structure(message);
  Frame frame = writer.finish();
  CHECK_EQ(frame.size, prefix_bytes + sizer.total());
  return frame;
}

template <typename M>
Slice encode(const M& message, std::int16_t version) {
  return encode_behind(
             0, [](Writer&, std::size_t) {}, sized(message, version), message, version)
      .flat();
}

template <typename M>
StatusOr<Frame> encode_response(CorrelationId correlation_id, const M& message, std::int16_t version,
                                std::size_t bytes_max) {
  static_assert(M::kTraits.kind == MessageKind::kResponse);
  const bool tags = response_header_has_tags(M::kTraits.api, M::kTraits.flexible(version));
  const std::size_t prefix_bytes = response_prefix_bytes(tags);
  const Sizer sizer = sized(message, version);
  const std::size_t bytes = prefix_bytes + sizer.total();
  if (bytes - sizer.by_reference() > bytes_max || bytes > kFrameBytesMax) [[unlikely]] {
    return absl::ResourceExhaustedError(fmt::format("{} of {} bytes", M::kTraits.name, bytes));
  }
  return encode_behind(
      prefix_bytes,
      [&](Writer& writer, std::size_t size) { write_response_prefix(writer, size, correlation_id, tags); }, sizer,
      message, version);
}

template <typename M>
Frame encode_request(const RequestHeader& header, const M& message) {
  static_assert(M::kTraits.kind == MessageKind::kRequest);
  CHECK(header.api == M::kTraits.api);
  const bool flexible = M::kTraits.flexible(header.version);
  return encode_behind(
      request_prefix_bytes(header, flexible),
      [&](Writer& writer, std::size_t size) { write_request_prefix(writer, size, header, flexible); },
      sized(message, header.version), message, header.version);
}

template <typename M>
std::string to_text(const M& message, std::int16_t version) {
  Printer printer(version);
  printer.structure(message);
  return fmt::format("{} v{} {}", M::kTraits.name, version, std::move(printer).take());
}

template <typename M>
M generate(Random& random, std::int16_t version) {
  CHECK(M::kTraits.versions.contains(version));
  M message;
  Generator generator(random, version, M::kTraits.flexible(version));
  generator.value(message);
  return message;
}

template <typename M>
StatusOr<Slice> reencode(const Slice& body, std::int16_t version) {
  ASSIGN_OR_RETURN(const M message, decode<M>(body, version));
  return encode(message, version);
}

template <typename M>
StatusOr<std::string> text_of_encoded(const Slice& body, std::int16_t version) {
  ASSIGN_OR_RETURN(const M message, decode<M>(body, version));
  return to_text(message, version);
}

template <typename M>
Slice generate_encoded(Random& random, std::int16_t version) {
  return encode(generate<M>(random, version), version);
}

template <typename M>
Status round_trip(Random& random, std::int16_t version) {
  const M message = generate<M>(random, version);
  const Slice body = encode(message, version);
  Reader reader(body, version, M::kTraits.flexible(version));
  M decoded;
  reader.structure(decoded);
  RETURN_IF_ERROR(reader.status(M::kTraits.name));
  if (reader.left() != 0) {
    return absl::InternalError(fmt::format("{} bytes left over by {}", reader.left(), to_text(message, version)));
  }
  if (!(decoded == message)) {
    return absl::InternalError(
        fmt::format("sent {}\nreceived {}", to_text(message, version), to_text(decoded, version)));
  }
  return ok();
}

template <typename M>
const MessageType& message_type() {
  static constexpr MessageType kType{.traits = M::kTraits,
                                     .describe = &Describer::describe<M>,
                                     .generate = &generate_encoded<M>,
                                     .reencode = &reencode<M>,
                                     .text = &text_of_encoded<M>,
                                     .round_trip = &round_trip<M>};
  return kType;
}

#define CHRONIK_MESSAGE_COMMON(M)                               \
  template StatusOr<M> decode<M>(const Slice&, std::int16_t);   \
  template std::size_t encoded_size<M>(const M&, std::int16_t); \
  template Slice encode<M>(const M&, std::int16_t);             \
  template std::string to_text<M>(const M&, std::int16_t);      \
  template M generate<M>(Random&, std::int16_t);                \
  template const MessageType& message_type<M>();

// In the namespace chronik::protocol, once for each API.
#define CHRONIK_MESSAGE(Request, Response)                                      \
  CHRONIK_MESSAGE_COMMON(Request)                                               \
  template Frame encode_request<Request>(const RequestHeader&, const Request&); \
  CHRONIK_MESSAGE_COMMON(Response)                                              \
  template StatusOr<Frame> encode_response<Response>(CorrelationId, const Response&, std::int16_t, std::size_t)

}  // namespace chronik::protocol
