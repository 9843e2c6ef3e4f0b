// Any bytes as a request's frame, without its length: the header, then the body as the header says, then the same body
// as every other version of that API. What is decoded at all must be encoded to something that decodes to the same.
#include <cstddef>
#include <cstdint>

#include "core/base/ambient.h"
#include "core/base/check.h"
#include "core/protocol/api_versions.h"
#include "core/protocol/headers.h"

namespace chronik::protocol {
namespace {

void read_body(const MessageType& type, std::int16_t version, const Slice& body) {
  const StatusOr<Slice> once = type.reencode(body, version);
  const StatusOr<std::string> text = type.text(body, version);
  CHECK_EQ(once.ok(), text.ok());
  if (!once.ok()) {
    CHECK(absl::IsInvalidArgument(once.status()));
    return;
  }
  const StatusOr<Slice> twice = type.reencode(*once, version);
  CHECK(twice.ok());
  CHECK(*once == *twice);
}

void read_frame(ByteSpan input) {
  const Slice frame = Slice::copy_of(input);
  const StatusOr<ReceivedRequest> received = decode_request_header(frame);
  if (!received.ok()) {
    CHECK(absl::IsInvalidArgument(received.status()) || absl::IsNotFound(received.status()));
    return;
  }
  const Api& api = *find_api(received->header.api);
  const MessageType& type = api.request();
  if (!api.implemented.contains(received->header.version)) {
    CHECK(absl::IsOutOfRange(type.reencode(received->body, received->header.version).status()));
  }
  for (std::int16_t version = api.implemented.min; version <= api.implemented.max; ++version) {
    read_body(type, version, received->body);
  }
}

}  // namespace
}  // namespace chronik::protocol

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);   // NOLINT: libFuzzer's name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {  // NOLINT: as above
  chronik::ShardContext context{.shard = chronik::ShardId(0), .node = chronik::NodeId(0)};
  chronik::Ambient ambient{.context = &context, .name = "fuzz"};
  const chronik::AmbientGuard guard(ambient);
  chronik::protocol::read_frame({data, size});
  return 0;
}
