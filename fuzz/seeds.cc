// Writes inputs for the targets `request` and `connection` to start from: each API as its description generates it, and
// what clients really say, into DIRECTORY/request/ and DIRECTORY/connection/.
#include <fmt/core.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/mix.h"
#include "core/ports/random.h"
#include "core/protocol/api_versions.h"
#include "core/protocol/headers.h"
#include "core/protocol/messages/create_topics.h"
#include "core/protocol/messages/delete_records.h"
#include "core/protocol/messages/delete_topics.h"
#include "core/protocol/messages/describe_configs.h"
#include "core/protocol/messages/fetch.h"
#include "core/protocol/messages/init_producer_id.h"
#include "core/protocol/messages/list_offsets.h"
#include "core/protocol/messages/metadata.h"
#include "core/protocol/messages/offset_for_leader_epoch.h"
#include "core/protocol/messages/produce.h"
#include "core/protocol/record_batch_builder.h"
#include "fuzz/simulated_broker.h"
#include "sim/stacks.h"

namespace chronik::fuzz {
namespace {

using protocol::Api;

class Draws final : public Random {
 public:
  explicit Draws(std::uint64_t seed) : seed_(seed) {}
  std::uint64_t next() override { return mix(seed_, ++count_); }

 private:
  const std::uint64_t seed_;
  std::uint64_t count_ = 0;
};

void write(const std::filesystem::path& path, std::string_view bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

void append_big(std::string& to, std::uint32_t value, int width) {
  for (int shift = 8 * (width - 1); shift >= 0; shift -= 8) {
    to.push_back(static_cast<char>(value >> shift));
  }
}

// The largest of some random messages that is still small.
std::string generated_body(const Api& api, std::int16_t version) {
  constexpr std::size_t kBodyMax = 120;
  constexpr std::uint64_t kTries = 50;
  std::string best;
  for (std::uint64_t seed = 0; seed < kTries; ++seed) {
    Draws draws(seed);
    const Slice body = api.request().generate(draws, version);
    if (body.size() <= kBodyMax && body.size() >= best.size()) {
      best = body.text();
    }
  }
  return best;
}

std::string frame_without_length(const Api& api, std::int16_t version) {
  std::string frame;
  append_big(frame, static_cast<std::uint32_t>(api.key), 2);
  append_big(frame, static_cast<std::uint32_t>(version), 2);
  append_big(frame, 7, 4);
  append_big(frame, 0xffff, 2);  // no client id
  if (version >= api.flexible_since) {
    frame.push_back(0);
  }
  return frame + generated_body(api, version);
}

void write_generated(const std::filesystem::path& directory) {
  for (const Api& api : protocol::all_apis()) {
    for (const std::int16_t version : {api.implemented.min, api.implemented.max}) {
      const std::string name = fmt::format("{}-{}", api.name, version);
      const std::string frame = frame_without_length(api, version);
      write(directory / "request" / name, frame);
      std::string with_length;
      append_big(with_length, static_cast<std::uint32_t>(frame.size()), 4);
      write(directory / "connection" / name, with_length + frame);
    }
  }
}

// ---- what clients say ----

template <typename M>
std::string said(const M& message, std::int16_t version) {
  return std::string(
      protocol::encode_request(
          {.api = M::kTraits.api, .version = version, .correlation_id = CorrelationId(7), .client_id = {}}, message)
          .flat()
          .text());
}

std::string produce(std::int16_t acks, protocol::Codec codec, ProducerId producer = ProducerId::none()) {
  protocol::RecordBatchBuilder builder;
  builder.append({.timestamp = WallTime::from_milliseconds(1'700'000'000'000),
                  .key = as_bytes("key"),
                  .value = as_bytes("value value value"),
                  .headers = {}});
  protocol::BatchFields fields;
  if (producer != ProducerId::none()) {
    fields.producer_id = producer;
    fields.producer_epoch = ProducerEpoch(0);
    fields.base_sequence = 0;
  }
  protocol::Codecs codecs;
  protocol::ProduceRequest request;
  request.acks = acks;
  request.timeout_ms = 1000;
  auto& topic = request.topic_data.emplace_back();
  topic.name = kTopic;
  topic.partition_data.push_back({.index = PartitionId(0), .records = builder.build(fields, codec, codecs)});
  return said(request, 9);
}

std::string fetch(std::int16_t version, const TopicId& id, std::int32_t max_wait_ms, std::int64_t offset = 0) {
  protocol::FetchRequest request;
  request.max_wait_ms = max_wait_ms;
  request.min_bytes = 1;
  request.max_bytes = 1 << 20;
  auto& topic = request.topics.emplace_back();
  topic.topic = kTopic;
  topic.topic_id = id;
  topic.partitions.push_back(
      {.partition = PartitionId(0), .fetch_offset = Offset(offset), .partition_max_bytes = 1 << 20});
  return said(request, version);
}

std::string metadata(std::int16_t version, const char* name) {
  protocol::MetadataRequest request;
  request.topics.emplace().emplace_back().name = name;
  request.allow_auto_topic_creation = true;
  return said(request, version);
}

std::string list_offsets(std::int64_t timestamp) {
  protocol::ListOffsetsRequest request;
  auto& topic = request.topics.emplace_back();
  topic.name = kTopic;
  topic.partitions.push_back({.partition_index = PartitionId(0), .timestamp = timestamp});
  return said(request, 7);
}

std::string create_topic() {
  protocol::CreateTopicsRequest request;
  request.timeout_ms = 1000;
  auto& topic = request.topics.emplace_back();
  topic.name = "u";
  topic.num_partitions = 1;
  topic.replication_factor = 1;
  topic.configs.push_back({.name = "retention.ms", .value = "1000"});
  return said(request, 7);
}

std::string delete_topic(const char* name) {
  protocol::DeleteTopicsRequest request;
  request.timeout_ms = 1000;
  request.topics.emplace_back().name = name;
  return said(request, 6);
}

std::string delete_records() {
  protocol::DeleteRecordsRequest request;
  request.timeout_ms = 1000;
  auto& topic = request.topics.emplace_back();
  topic.name = kTopic;
  topic.partitions.push_back({.partition_index = PartitionId(0), .offset = Offset(1)});
  return said(request, 2);
}

std::string epoch_end() {
  protocol::OffsetForLeaderEpochRequest request;
  auto& topic = request.topics.emplace_back();
  topic.topic = kTopic;
  topic.partitions.push_back({.partition = PartitionId(0), .leader_epoch = LeaderEpoch(0)});
  return said(request, 4);
}

void write_conversations(const std::filesystem::path& directory, const TopicId& id) {
  using protocol::Codec;
  const std::string plain = produce(1, Codec::kNone);
  const std::string cut = plain.substr(0, plain.size() - 9);
  const std::vector<std::pair<const char*, std::string>> all = {
      {"produce-fetch", plain + fetch(4, id, 0)},
      {"produce-fetch-by-id", produce(-1, Codec::kLz4) + fetch(17, id, 100)},
      {"produce-gzip-zstd", produce(1, Codec::kGzip) + produce(1, Codec::kZstd) + produce(1, Codec::kSnappy)},
      {"produce-unanswered-fetch", produce(0, Codec::kNone) + fetch(11, id, 500)},
      {"produce-idempotent-twice", said(protocol::InitProducerIdRequest{}, 4) +
                                       produce(-1, Codec::kNone, ProducerId(0)) +
                                       produce(-1, Codec::kNone, ProducerId(0))},
      {"fetch-parked-leaves", fetch(12, id, 30'000)},
      {"fetch-parked-then-produce", fetch(12, id, 500) + plain},
      {"fetch-beyond-the-end", fetch(12, id, 0, 5)},
      {"metadata-makes-a-topic", metadata(1, "auto") + metadata(12, "auto")},
      {"list-offsets", plain + list_offsets(-1) + list_offsets(-2) + list_offsets(-3) + list_offsets(1)},
      {"create-delete", create_topic() + delete_topic("u")},
      {"delete-while-fetching", fetch(12, id, 500) + delete_topic(kTopic) + plain},
      {"delete-records", plain + delete_records() + fetch(12, id, 0)},
      {"epoch-end", plain + epoch_end()},
      {"cut-in-a-frame", metadata(1, kTopic) + cut},
      {"length-negative", metadata(1, kTopic) + "\xff\xff\xff\xff"},
      {"length-too-large", std::string("\x7f\xff\xff\xff", 4) + plain},
      {"http", "GET / HTTP/1.1\r\nHost: broker\r\n\r\n"},
  };
  for (const auto& [name, bytes] : all) {
    write(directory / "connection" / name, bytes);
  }
}

}  // namespace
}  // namespace chronik::fuzz

int main(int argc, char** argv) {
  if (argc != 2) {
    fmt::print(stderr, "usage: fuzz_seeds DIRECTORY\n");
    return 2;
  }
  chronik::ShardContext context{.shard = chronik::ShardId(0), .node = chronik::NodeId(0)};
  chronik::Ambient ambient{.context = &context, .name = "seeds"};
  const chronik::AmbientGuard guard(ambient);
  chronik::sim::StackArena stacks;
  const chronik::fuzz::SimulatedBroker broker(stacks);
  const chronik::TopicId id = broker.node().metadata().image()->find_topic(chronik::fuzz::kTopic)->id;
  chronik::fuzz::write_generated(argv[1]);
  chronik::fuzz::write_conversations(argv[1], id);
  return 0;
}
