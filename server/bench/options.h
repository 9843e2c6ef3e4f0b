// What chronik-bench is told. Every flag of the table in docs/OPERATIONS.md is here, checked.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "core/base/time.h"
#include "core/protocol/record_batch.h"
#include "server/values.h"

namespace chronik::bench {

enum class Mode : std::uint8_t { kProduce, kConsume, kRoundTrip, kMetadata };
enum class KeyPattern : std::uint8_t { kRandom, kSequential, kFixed };
enum class PayloadPattern : std::uint8_t { kRandom, kZeros, kText };

struct BenchOptions {
  std::vector<server::HostPort> servers;  // with ports
  std::string topic = "chronik-bench";
  Mode mode = Mode::kProduce;
  std::size_t concurrency = 64;
  std::size_t message_size = 1024;            // of the value, in bytes
  Duration duration = Duration::seconds(60);  // infinite(): until stopped
  Duration warmup = Duration::seconds(5);     // before it nothing is counted
  std::uint64_t message_count = 0;            // 0: no limit
  std::uint64_t rate_limit = 0;               // messages per second of all together; 0: none
  protocol::Codec compression = protocol::Codec::kNone;
  std::string compression_name = "none";
  std::int32_t partitions = 1;  // of a topic that is created
  std::int16_t replication_factor = 1;
  std::int16_t acks = 1;
  Duration linger = Duration::zero();  // messages of one partition gather so long for one batch
  std::size_t batch_bytes = 16384;     // or until there are so many bytes
  Duration request_timeout = Duration::seconds(30);
  Duration message_timeout = Duration::seconds(60);  // of a message with all its attempts
  Duration report_interval = Duration::seconds(5);
  std::string csv_file = {};
  std::string json_file = {};
  std::uint16_t prometheus_port = 0;  // 0: none
  KeyPattern key_pattern = KeyPattern::kRandom;
  PayloadPattern payload_pattern = PayloadPattern::kRandom;
  bool create_topic = false;
  bool delete_topic_after = false;
  bool validate = false;
  bool verbose = false;
  double min_throughput = 0;  // messages per second; 0: none
};

const char* mode_name(Mode mode);

// The options, or the exit status of a command line that has been answered already.
std::variant<BenchOptions, int> parse_options(int argc, const char* const* argv);

}  // namespace chronik::bench
