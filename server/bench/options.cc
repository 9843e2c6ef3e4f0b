#include "server/bench/options.h"

#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include <cstdio>
#include <utility>

#include "server/version.h"

namespace chronik::bench {

namespace {

constexpr int kUsage = 2;
constexpr std::uint16_t kKafkaPort = 9092;

Status must_be(std::string_view what) { return absl::InvalidArgumentError(fmt::format("must be {}", what)); }

Status parse_servers(const std::string& text, BenchOptions& options) {
  options.servers.clear();
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    ASSIGN_OR_RETURN(server::HostPort one, server::parse_host_port(text.substr(begin, end - begin)));
    one.port = one.port.value_or(kKafkaPort);
    options.servers.push_back(std::move(one));
    begin = end + 1;
  }
  return ok();
}

// "none", "gzip" … of a list of names and what they mean.
template <typename T>
Status parse_choice(const std::string& text, std::initializer_list<std::pair<const char*, T>> choices, T& into) {
  std::string known;
  for (const auto& [name, value] : choices) {
    if (text == name) {
      into = value;
      return ok();
    }
    known += fmt::format("{}{}", known.empty() ? "" : ", ", name);
  }
  return must_be("one of " + known);
}

template <typename T>
Status parse_number(const std::string& text, std::int64_t min, std::int64_t max, T& into) {
  ASSIGN_OR_RETURN(const std::int64_t number, server::parse_whole_number(text, min, max));
  into = static_cast<T>(number);
  return ok();
}

Status parse_milliseconds(const std::string& text, std::int64_t min, Duration& into) {
  std::int64_t number = 0;
  RETURN_IF_ERROR(parse_number(text, min, 86'400'000, number));
  into = Duration::milliseconds(number);
  return ok();
}

Status parse_rate(const std::string& text, double& into) {
  char* end = nullptr;
  into = std::strtod(text.c_str(), &end);
  return !text.empty() && *end == '\0' && into > 0 && into < 1e12 ? ok() : must_be("a number of messages per second");
}

class Parser {
 public:
  Parser();
  std::variant<BenchOptions, int> parse(int argc, const char* const* argv);

 private:
  // An option whose text `set` takes, or refuses saying what would be right.
  template <typename Set>
  CLI::Option* add(const std::string& flags, const std::string& help, Set set) {
    const std::string name = flags.substr(flags.find("--"));
    return app_.add_option_function<std::string>(
        flags,
        [this, name, set](const std::string& text) {
          const Status done = set(text, options_);
          if (!done.ok() && refused_.ok()) {
            refused_ = absl::InvalidArgumentError(fmt::format("{}: '{}': {}", name, text, server::message_of(done)));
          }
        },
        help);
  }
  void add_what_to_do();
  void add_messages();
  void add_producer();
  void add_reports();
  Status check() const;

  CLI::App app_{"Measures a Kafka broker: so many clients, each with one message under way", "chronik-bench"};
  BenchOptions options_;
  Status refused_;
};

Parser::Parser() {
  app_.set_version_flag("--version", server::version_text());
  add_what_to_do();
  add_messages();
  add_producer();
  add_reports();
}

void Parser::add_what_to_do() {
  options_.servers = {{.host = "localhost", .port = kKafkaPort}};
  add("-b,--bootstrap-servers", "HOST:PORT[,…] [localhost:9092]", parse_servers)->envname("KAFKA_BOOTSTRAP_SERVERS");
  app_.add_option("-t,--topic", options_.topic, "Topic")->capture_default_str()->envname("KAFKA_TOPIC");
  add("-m,--mode", "produce, consume (the whole topic, again and again), round-trip or metadata [produce]",
      [](const std::string& text, BenchOptions& o) {
        return parse_choice<Mode>(text,
                                  {{"produce", Mode::kProduce},
                                   {"consume", Mode::kConsume},
                                   {"round-trip", Mode::kRoundTrip},
                                   {"metadata", Mode::kMetadata}},
                                  o.mode);
      });
  add("-c,--concurrency", "Clients, each with one message under way [64]",
      [](const std::string& text, BenchOptions& o) { return parse_number(text, 1, 10'000, o.concurrency); });
  add("-d,--duration", "How long to measure: ms, s, m, h; 0: until stopped [60s]",
      [](const std::string& text, BenchOptions& o) {
        ASSIGN_OR_RETURN(o.duration, server::parse_duration(text));
        o.duration = o.duration == Duration::zero() ? Duration::infinite() : o.duration;
        return ok();
      });
  add("-w,--warmup-duration", "How long to run before that, uncounted [5s]",
      [](const std::string& text, BenchOptions& o) {
        ASSIGN_OR_RETURN(o.warmup, server::parse_duration(text));
        return ok();
      });
  add("-n,--message-count", "Messages to measure; 0: no limit [0]",
      [](const std::string& text, BenchOptions& o) { return parse_number(text, 0, INT64_MAX, o.message_count); });
  add("--rate-limit",
      "Messages per second of all clients together; latency counts from when a message was due; 0: off [0]",
      [](const std::string& text, BenchOptions& o) { return parse_number(text, 0, 1'000'000'000, o.rate_limit); });
}

void Parser::add_messages() {
  add("-s,--message-size", "Bytes of a message's value [1024]",
      [](const std::string& text, BenchOptions& o) { return parse_number(text, 0, 64 << 20, o.message_size); });
  add("--key-pattern", "random, sequential or fixed; a key decides on the partition [random]",
      [](const std::string& text, BenchOptions& o) {
        return parse_choice<KeyPattern>(
            text,
            {{"random", KeyPattern::kRandom}, {"sequential", KeyPattern::kSequential}, {"fixed", KeyPattern::kFixed}},
            o.key_pattern);
      });
  add("--payload-pattern", "random, zeros or text [random]", [](const std::string& text, BenchOptions& o) {
    return parse_choice<PayloadPattern>(
        text, {{"random", PayloadPattern::kRandom}, {"zeros", PayloadPattern::kZeros}, {"text", PayloadPattern::kText}},
        o.payload_pattern);
  });
  add("--compression", "none, gzip, snappy, lz4 or zstd [none]", [](const std::string& text, BenchOptions& o) {
    o.compression_name = text;
    return parse_choice<protocol::Codec>(text,
                                         {{"none", protocol::Codec::kNone},
                                          {"gzip", protocol::Codec::kGzip},
                                          {"snappy", protocol::Codec::kSnappy},
                                          {"lz4", protocol::Codec::kLz4},
                                          {"zstd", protocol::Codec::kZstd}},
                                         o.compression);
  });
}

void Parser::add_producer() {
  app_.add_flag("--create-topic", options_.create_topic, "Create the topic before, if need be");
  app_.add_flag("--delete-topic-after", options_.delete_topic_after, "Delete the topic afterwards");
  add("-p,--partitions", "Partitions of the topic, which is created if need be [1]",
      [](const std::string& text, BenchOptions& o) {
        o.create_topic = true;
        return parse_number(text, 1, 10'000, o.partitions);
      });
  add("-r,--replication-factor", "Replicas of the topic, which is created if need be [1]",
      [](const std::string& text, BenchOptions& o) {
        o.create_topic = true;
        return parse_number(text, 1, 100, o.replication_factor);
      });
  add("--acks", "0, 1, -1 or all [1]", [](const std::string& text, BenchOptions& o) {
    return parse_choice<std::int16_t>(
        text, {{"0", std::int16_t{0}}, {"1", std::int16_t{1}}, {"-1", std::int16_t{-1}}, {"all", std::int16_t{-1}}},
        o.acks);
  });
  add("--linger-ms", "Messages to one partition wait so long for others to go with; 0: each goes alone [0]",
      [](const std::string& text, BenchOptions& o) { return parse_milliseconds(text, 0, o.linger); });
  add("--batch-size", "Bytes that end that wait [16384]",
      [](const std::string& text, BenchOptions& o) { return parse_number(text, 1, 64 << 20, o.batch_bytes); });
  add("--request-timeout-ms", "For one request [30000]",
      [](const std::string& text, BenchOptions& o) { return parse_milliseconds(text, 1, o.request_timeout); });
  add("--message-timeout-ms", "For one message, with all attempts [60000]",
      [](const std::string& text, BenchOptions& o) { return parse_milliseconds(text, 1, o.message_timeout); });
  add("--consumer-group", "Refused: consumers here read all partitions", [](const std::string&, BenchOptions&) {
    return absl::InvalidArgumentError(
        "must not be given: every consumer of this benchmark reads all partitions, without a group; Kafka's "
        "ConsumerPerformance measures a group");
  });
}

void Parser::add_reports() {
  add("--report-interval-secs", "A line of progress so often [5]", [](const std::string& text, BenchOptions& o) {
    std::int64_t seconds = 0;
    RETURN_IF_ERROR(parse_number(text, 1, 86'400, seconds));
    o.report_interval = Duration::seconds(seconds);
    return ok();
  });
  app_.add_option("--csv-output", options_.csv_file, "Append the result to this file, as CSV");
  app_.add_option("--json-output", options_.json_file, "Write the result to this file, as JSON");
  add("--prometheus-port", "Serve /metrics on this port of the loopback while running",
      [](const std::string& text, BenchOptions& o) { return parse_number(text, 1, 65'535, o.prometheus_port); });
  app_.add_flag("--validate", options_.validate, "Check every message; exit with 1 if one is lost or altered");
  add("--min-throughput", "Exit with 1 below so many messages per second",
      [](const std::string& text, BenchOptions& o) { return parse_rate(text, o.min_throughput); });
  app_.add_flag("-v,--verbose", options_.verbose, "Say what goes wrong as it happens");
}

Status Parser::check() const {
  RETURN_IF_ERROR(refused_);
  const bool needs_offsets =
      options_.mode == Mode::kRoundTrip || (options_.mode == Mode::kProduce && options_.validate);
  if (options_.acks == 0 && needs_offsets) {
    return absl::InvalidArgumentError(
        "--acks: '0': must be 1, -1 or all with --validate and in round-trip mode: without an answer nobody knows "
        "where "
        "a message went");
  }
  if (options_.message_count == 0 && options_.duration == Duration::infinite() && options_.validate &&
      options_.mode == Mode::kProduce) {
    return absl::InvalidArgumentError(
        "--duration: '0': must have an end with --validate, or a --message-count: every message is remembered");
  }
  return ok();
}

std::variant<BenchOptions, int> Parser::parse(int argc, const char* const* argv) {
  try {
    app_.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {
      return app_.exit(error);
    }
    fmt::print(stderr, "chronik-bench: {}\nTry: chronik-bench --help\n", error.what());
    return kUsage;
  }
  const Status checked = check();
  if (!checked.ok()) {
    fmt::print(stderr, "chronik-bench: {}\n", server::message_of(checked));
    return kUsage;
  }
  return options_;
}

}  // namespace

const char* mode_name(Mode mode) {
  switch (mode) {
    case Mode::kProduce: return "produce";
    case Mode::kConsume: return "consume";
    case Mode::kRoundTrip: return "round-trip";
    case Mode::kMetadata: return "metadata";
  }
  UNREACHABLE("a mode");
}

std::variant<BenchOptions, int> parse_options(int argc, const char* const* argv) { return Parser().parse(argc, argv); }

}  // namespace chronik::bench
