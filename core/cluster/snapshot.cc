#include "core/cluster/snapshot.h"

#include "core/base/codec.h"
#include "core/base/crc32c.h"
#include "core/base/endian.h"
#include "core/cluster/invariants.h"

namespace chronik::cluster {

namespace {

constexpr std::uint32_t kMagic = 0x494d4843;  // "CHMI"
// 2: eligible leaders, reassignments, unclean elections. 3: when partitions were made, stuck disks. 4: nodes that come
// and go. 5: when one went last.
constexpr std::uint16_t kSnapshotVersion = 5;
constexpr std::size_t kCrcBytes = 4;

// topics_by_id holds the same topics and is not written.
void fields(auto& op, auto& image) {
  op(image.cluster);
  op(image.applied);
  op(image.next_producer_id);
  op(image.brokers);
  op(image.topics);
  op(image.broker_configs);
  op(image.proposers);
  op.since(2, image.min_insync_replicas);
  op.since(2, image.unclean_leader_election);
  op.since(4, image.joining);
  op.since(4, image.departing);
  op.since(4, image.rebalancing);
  op.since(5, image.last_removal);
}

}  // namespace

std::string encode_snapshot(const Image& image) {
  Writer writer;
  writer(kMagic);
  writer(kSnapshotVersion);
  fields(writer, image);
  std::string bytes = writer.take();
  const std::uint32_t crc = crc32c(as_bytes(bytes));
  const std::size_t end = bytes.size();
  bytes.resize(end + kCrcBytes);
  store_little(reinterpret_cast<std::uint8_t*>(bytes.data() + end), crc);
  return bytes;
}

StatusOr<ImageRef> decode_snapshot(ByteSpan bytes) {
  if (bytes.size() < kCrcBytes) {
    return absl::DataLossError("a metadata snapshot that is too short");
  }
  const ByteSpan body = bytes.first(bytes.size() - kCrcBytes);
  if (crc32c(body) != load_little<std::uint32_t>(body.data() + body.size())) {
    return absl::DataLossError("a metadata snapshot whose checksum is wrong");
  }
  Reader reader(body);
  std::uint32_t magic = 0;
  std::uint16_t version = 0;
  reader(magic);
  reader(version);
  if (reader.ok() && magic == kMagic && version > kSnapshotVersion) {
    return absl::FailedPreconditionError(fmt::format(
        "metadata snapshot of version {}; this program knows versions up to {}", version, kSnapshotVersion));
  }
  Image image;
  reader.set_format(version);
  fields(reader, image);
  if (!reader.complete() || magic != kMagic || version < 1) {
    return absl::DataLossError("a metadata snapshot that cannot be decoded");
  }
  std::vector<TopicRef> by_id;
  image.topics.for_each([&by_id](const TopicRef& topic) { by_id.push_back(topic); });
  std::sort(by_id.begin(), by_id.end(), [](const TopicRef& a, const TopicRef& b) { return a->id < b->id; });
  image.topics_by_id = decltype(image.topics_by_id)::from_sorted(std::move(by_id));
  const std::vector<std::string> broken = broken_invariants(image);
  if (!broken.empty()) {
    return absl::DataLossError(fmt::format("a metadata snapshot that contradicts itself: {}", broken.front()));
  }
  return ImageRef::make(image);
}

}  // namespace chronik::cluster
