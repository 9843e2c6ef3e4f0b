#include "core/raft/peer_message.h"

#include <fmt/core.h>

#include "core/base/codec.h"
#include "core/base/crc32c.h"
#include "core/base/endian.h"

namespace chronik::raft {

namespace {
constexpr std::uint8_t kPeerVersion = 3;  // 3: a connection begins with whose life it is
constexpr std::size_t kLengthBytes = 4;
constexpr std::size_t kPeerHeaderBytes = 5;  // version and checksum of the rest
}  // namespace

Slice encode_peer_frame(const PeerFrame& sent) {
  Writer writer;
  writer(sent.from);
  writer(sent.received);
  writer(sent.message);
  const std::string body = writer.take();
  Slice frame = Slice::allocate(kLengthBytes + kPeerHeaderBytes + body.size());
  std::uint8_t* to = frame.mutable_data();
  store_big(to, static_cast<std::int32_t>(kPeerHeaderBytes + body.size()));
  to[kLengthBytes] = kPeerVersion;
  store_little(to + kLengthBytes + 1, crc32c(as_bytes(body)));
  std::copy(body.begin(), body.end(), to + kLengthBytes + kPeerHeaderBytes);
  return frame;
}

StatusOr<PeerFrame> decode_peer_frame(ByteSpan bytes) {
  if (bytes.size() < kPeerHeaderBytes) {
    return absl::DataLossError("a frame that is too short");
  }
  if (bytes[0] != kPeerVersion) {
    return absl::DataLossError(
        fmt::format("a frame of version {}; this program speaks version {}", bytes[0], kPeerVersion));
  }
  const ByteSpan body = bytes.subspan(kPeerHeaderBytes);
  if (load_little<std::uint32_t>(bytes.data() + 1) != crc32c(body)) {
    return absl::DataLossError("a frame whose checksum is wrong");
  }
  PeerFrame frame;
  Reader reader(body);
  reader(frame.from);
  reader(frame.received);
  reader(frame.message);
  if (!reader.complete()) {
    return absl::DataLossError("a frame that cannot be decoded");
  }
  return frame;
}

}  // namespace chronik::raft
