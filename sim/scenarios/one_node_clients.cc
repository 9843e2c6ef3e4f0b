// The clients of the scenarios of one node: producers without an id, the reader, the consumer.
#include <fmt/core.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "core/fiber/scope.h"
#include "core/fiber/wait.h"
#include "core/protocol/messages/fetch.h"
#include "core/protocol/record_batch_builder.h"
#include "sim/disk_faults.h"
#include "sim/obligations.h"
#include "sim/scenarios/fetch_session.h"
#include "sim/scenarios/one_node.h"

namespace chronik::sim {

namespace {

using protocol::ErrorCode;

constexpr std::int16_t kFetchByName = 12;  // the last version that names topics by their names
constexpr Duration kConsumerWait = Duration::seconds(30);
constexpr Duration kPause = Duration::milliseconds(500);  // of a partition that the consumer wants nothing of

// ---- producers ----

// One connection's worth of produces, `window` of them at a time.
class ProducerSession {
 public:
  ProducerSession(ProcessContext& process, OneNodeState& state, OneNodeState::Producer& producer,
                  client::Client& client)
      : process_(process), state_(state), producer_(producer), client_(client) {
    session_ = {.client = mix_text(process.machine.name()), .number = ++producer.sessions};
  }

  void run() {
    fiber::FiberScope workers;
    for (std::size_t i = 0; i < state_.window; ++i) {
      workers.spawn({"worker", i}, [this] {
        while (!client_.broken() && producer_.next < producer_.operations.size() && produce_next()) {
        }
      });
    }
    static_cast<void>(workers.join(fiber::for_ever()));
    state_.judge_answer(client_.violation(), "an answer to a producer");
  }

 private:
  bool produce_next() {
    const Duration pause = Duration::nanoseconds(producer_.operations[producer_.next].number("pause_ns"));
    if (!fiber::sleep(pause).ok() || client_.broken() || producer_.next >= producer_.operations.size()) {
      return false;
    }
    const PlanOperation& operation = producer_.operations[producer_.next++];
    const auto partition = static_cast<std::size_t>(operation.number("partition")) % state_.ledger.partitions();
    const auto bytes = static_cast<std::size_t>(operation.number("bytes"));
    const std::int64_t records = operation.number("records");
    const std::size_t era = disk_of(*state_.machine).model().damage().size();
    protocol::RecordBatchBuilder builder;
    for (std::int64_t i = 0; i < records; ++i) {
      const std::string value = Ledger::bytes_of(value_of(operation, i), bytes);
      builder.append(
          {.timestamp = state_.stamp(process_.ports.clock), .key = {}, .value = as_bytes(value), .headers = {}});
      state_.ledger.send(value_of(operation, i), bytes, partition, session_, era);
    }
    const StatusOr<protocol::ProducePartitionResponse> answer =
        client_.produce(kLedgerTopic, partition_id(partition), builder.build({}),
                        static_cast<std::int16_t>(operation.number("acks")), node_patience());
    state_.judge_answer(answer.status(), "produce");
    if (answer.ok()) {
      state_.judge_error(answer->error_code, "produce");
    } else if (!given_up_) {
      judge_lasting(state_, answer.status());
    }
    const bool acknowledged = answer.ok() && answer->error_code == ErrorCode::kNone;
    state_.world.trace().record(Record::kClient, operation.id, acknowledged ? 0 : 1);
    if (answer.ok() && answer->error_code == ErrorCode::kKafkaStorageError) {
      for (std::int64_t i = 0; i < records; ++i) {
        state_.ledger.refuse_value(value_of(operation, i));
      }
    }
    if (!acknowledged) {
      given_up_ = true;
      client_.close();
      return false;
    }
    for (std::int64_t i = 0; i < records; ++i) {
      state_.ledger.acknowledge(value_of(operation, i), answer->base_offset.value() + i);
    }
    expect_news(state_, partition, answer->base_offset.value() + records - 1);
    return true;
  }

  ProcessContext& process_;
  OneNodeState& state_;
  OneNodeState::Producer& producer_;
  client::Client& client_;
  ProducerSessionId session_;
  bool given_up_ = false;  // after an error, so that nothing overtakes what was refused
};

// ---- reading ----

Status take(OneNodeState& state, std::size_t partition, const std::optional<Slice>& records, std::int64_t& position) {
  return take_records(state.world, state.ledger, partition, records.value_or(Slice()), state.rules.disk_rots, position);
}

// The offset cannot be read, and the broker may say so: the next one, then.
bool skip_damaged(OneNodeState& state, std::size_t partition, ErrorCode error, std::int64_t& position) {
  const bool damaged = state.rules.disk_rots &&
                       (error == ErrorCode::kCorruptMessage || error == ErrorCode::kKafkaStorageError) &&
                       !disk_of(*state.machine).model().damage().empty();
  if (damaged) {
    state.ledger.refuse(partition, position++);
  }
  return damaged;
}

// The log begins behind that offset by now.
bool skip_to_start(OneNodeState& state, std::size_t partition, const protocol::FetchPartitionResponse& answer,
                   std::int64_t known_start, std::int64_t& position) {
  const std::int64_t start = answer.log_start_offset.value();
  const bool deletes = state.rules.retains || state.ledger.asked_start(partition) > 0;
  if (!deletes || answer.error_code != ErrorCode::kOffsetOutOfRange || answer.high_watermark.value() < position) {
    return false;
  }
  if (start <= position) {
    return true;  // it moved while the answer was made: ask again
  }
  position = start;
  return state.ledger.begin_at(partition, start, known_start, state.rules.retains);
}

// Everything of one partition from its first offset on. Not ok: the broker could not be read.
Status read_partition(OneNodeState& state, client::Client& client, std::size_t partition) {
  std::int64_t position = 0;
  for (;;) {
    const std::int64_t known = state.ledger.known_end(partition);
    const std::int64_t known_start = state.ledger.log_start(partition);
    StatusOr<protocol::FetchPartitionResponse> got =
        client.fetch(kLedgerTopic, partition_id(partition), Offset(position), 65'536, node_patience());
    state.judge_answer(got.status(), "fetch");
    RETURN_IF_ERROR(got.status());
    if (got->error_code != ErrorCode::kNone) {
      if (skip_damaged(state, partition, got->error_code, position) ||
          skip_to_start(state, partition, *got, known_start, position)) {
        continue;
      }
      state.judge_error(got->error_code, "fetch");
      return absl::UnavailableError(std::string(protocol::error_name(got->error_code)));
    }
    if (!state.ledger.read_at(partition, position, known_start)) {
      return absl::DataLossError("deleted");
    }
    if (position >= got->high_watermark.value()) {
      state.ledger.end_at(partition, position, known);
      return ok();
    }
    const std::int64_t before = position;
    RETURN_IF_ERROR(take(state, partition, got->records, position));
    if (position == before) {
      state.world.fail("OFFSET-CONTIG", fmt::format("partition {}: nothing to be read at {} below the high watermark "
                                                    "{}",
                                                    partition, position, got->high_watermark.value()));
      return absl::DataLossError("nothing");
    }
  }
}

Status read_all(OneNodeState& state, client::Client& client) {
  RETURN_IF_ERROR(expect_topic(state, client));
  for (std::size_t partition = 0; partition < state.ledger.partitions(); ++partition) {
    RETURN_IF_ERROR(read_partition(state, client, partition));
  }
  return ok();
}

// ---- the consumer ----

// Of all partitions but this one, which is paused.
protocol::FetchRequest wait_for_news(const OneNodeState& state, std::size_t paused) {
  const bool all = paused >= state.ledger.partitions();
  protocol::FetchRequest request;
  request.max_wait_ms = static_cast<std::int32_t>((all ? kConsumerWait : kPause).milliseconds());
  request.min_bytes = 1;
  request.max_bytes = state.consumer_bytes_max;
  auto& asked = request.topics.emplace_back();
  asked.topic = kLedgerTopic;
  for (std::size_t partition = 0; partition < state.ledger.partitions(); ++partition) {
    if (partition == paused) {
      continue;
    }
    auto& wanted = asked.partitions.emplace_back();
    wanted.partition = partition_id(partition);
    wanted.fetch_offset = Offset(state.consumer_at[partition]);
    wanted.current_leader_epoch = LeaderEpoch::none();
    wanted.last_fetched_epoch = LeaderEpoch::none();
    wanted.partition_max_bytes = std::min(1 << 18, state.consumer_bytes_max);
  }
  return request;
}

void settle_news(OneNodeState& state, std::size_t partition) {
  for (auto at = state.news.lower_bound({partition, 0});
       at != state.news.end() && at->first.first == partition && at->first.second < state.consumer_at[partition];) {
    state.world.obligations().settle(at->second);
    at = state.news.erase(at);
  }
}

// In a session one partition pauses now and then: the broker is to forget it meanwhile. All of them: none.
std::size_t draw_paused(ProcessContext& process, const OneNodeState& state) {
  const std::size_t partitions = state.ledger.partitions();
  if (!state.consumer_sessions || partitions < 2 || process.ports.random.next() % 4 != 0) {
    return partitions;
  }
  return process.ports.random.next() % partitions;
}

// What the consumer has come to with one answer.
class ConsumedAnswer {
 public:
  explicit ConsumedAnswer(OneNodeState& state) : state_(state) {
    for (std::size_t partition = 0; partition < state.ledger.partitions(); ++partition) {
      known_starts_.push_back(state.ledger.log_start(partition));
      known_ends_.push_back(state.ledger.known_end(partition));
    }
  }

  Status take_all(const std::vector<protocol::FetchPartitionResponse>& answers) {
    bool nothing = true;
    for (const protocol::FetchPartitionResponse& answer : answers) {
      nothing &= answer.error_code == ErrorCode::kNone && answer.records.value_or(Slice()).empty();
      RETURN_IF_ERROR(take_one(static_cast<std::size_t>(answer.partition_index.value()), answer));
    }
    if (!nothing || state_.rules.disk_rots) {
      return ok();
    }
    for (const protocol::FetchPartitionResponse& answer : answers) {
      const auto partition = static_cast<std::size_t>(answer.partition_index.value());
      if (state_.consumer_at[partition] < known_ends_[partition]) {
        state_.world.fail("OFFSET-CONTIG",
                          fmt::format("partition {}: nothing is told of what is there from {} to {}", partition,
                                      state_.consumer_at[partition], known_ends_[partition]));
      }
    }
    return ok();
  }

 private:
  Status take_one(std::size_t partition, const protocol::FetchPartitionResponse& answer) {
    std::int64_t& at = state_.consumer_at[partition];
    if (answer.error_code == ErrorCode::kNone) {
      if (!state_.ledger.read_at(partition, at, known_starts_[partition])) {
        return absl::DataLossError("deleted");
      }
      RETURN_IF_ERROR(take(state_, partition, answer.records, at));
      settle_news(state_, partition);
    } else if (skip_to_start(state_, partition, answer, known_starts_[partition], at)) {
      settle_news(state_, partition);
    } else if (!skip_damaged(state_, partition, answer.error_code, at)) {
      state_.judge_error(answer.error_code, "fetch that waits");
      return absl::UnavailableError(std::string(protocol::error_name(answer.error_code)));
    }
    return ok();
  }

  OneNodeState& state_;
  std::vector<std::int64_t> known_starts_;
  std::vector<std::int64_t> known_ends_;
};

// What came last may have come while its partition was paused.
bool wants_more(const OneNodeState& state) { return !state.all_read || !state.news.empty(); }

Status consume_once(ProcessContext& process, OneNodeState& state, client::Client& client, FetchSessionClient& session) {
  const std::size_t paused = draw_paused(process, state);
  protocol::FetchRequest request = wait_for_news(state, paused);
  const std::size_t wanted = request.topics.front().partitions.size();
  ConsumedAnswer consumed(state);
  if (state.consumer_sessions) {
    session.begin(request);
  }
  StatusOr<protocol::FetchResponse> got = client.call<protocol::FetchResponse>(
      request, kFetchByName, fiber::within(kConsumerWait + kNodePatience, Expiry::kPeer));
  state.judge_answer(got.status(), "fetch that waits");
  if (!got.ok()) {
    if (state.consumer_sessions) {
      session.lost(/*gives_up=*/process.ports.random.next() % 2 == 0);
    }
    return got.status();
  }
  if (state.consumer_sessions && !session.end(*got)) {
    return ok();
  }
  if (got->responses.size() != 1 || got->responses[0].partitions.size() != wanted) {
    state.world.fail("CONFORM", "an answer about other partitions than were asked for");
    return absl::DataLossError("partitions");
  }
  return consumed.take_all(got->responses[0].partitions);
}

}  // namespace

Status expect_topic(OneNodeState& state, client::Client& client) {
  StatusOr<protocol::MetadataTopic> topic = client.metadata(kLedgerTopic, node_patience());
  state.judge_answer(topic.status(), "metadata");
  RETURN_IF_ERROR(topic.status());
  return topic->error_code == ErrorCode::kNone && topic->partitions.size() == state.ledger.partitions()
             ? ok()
             : absl::UnavailableError("not made yet");
}

void expect_news(OneNodeState& state, std::size_t partition, std::int64_t offset) {
  if (state.rules.consumer_is_prompt && state.consumer_at[partition] <= offset) {
    const std::string what = fmt::format("the consumer learns of partition {} offset {}", partition, offset);
    state.news[{partition, offset}] = state.world.obligations().open(what, kNewsWithin);
  }
}

void judge_lasting(OneNodeState& state, const Status& status) {
  if (!status.ok() && state.rules.connections_last) {
    const bool late = absl::IsUnknown(status);
    state.world.fail(late ? "NO-STUCK" : "CONFORM",
                     fmt::format("{} for no reason: {}", late ? "no answer" : "a connection ended", status.ToString()));
  }
}

Deadline node_patience() { return fiber::within(kNodePatience, Expiry::kPeer); }

StatusOr<std::unique_ptr<client::Client>> connect_to_node(ProcessContext& process) {
  ASSIGN_OR_RETURN(const std::vector<Address> found, process.ports.network.resolve("node", kNodePort, node_patience()));
  return client::Client::connect(process.ports.network, found.front(), {.client_id = process.machine.name()},
                                 fiber::within(Duration::seconds(5), Expiry::kNormal));
}

void sleep_between(ProcessContext& process, std::int64_t low_ms, std::int64_t high_ms) {
  const auto width = static_cast<std::uint64_t>(high_ms - low_ms);
  static_cast<void>(
      fiber::sleep(Duration::milliseconds(low_ms + static_cast<std::int64_t>(process.ports.random.next() % width))));
}

void run_producer(ProcessContext& process, OneNodeState& state) {
  OneNodeState::Producer& producer = state.producers[process.machine.name()];
  while (producer.next < producer.operations.size()) {
    StatusOr<std::unique_ptr<client::Client>> client = connect_to_node(process);
    if (client.ok() && expect_topic(state, **client).ok()) {
      ProducerSession(process, state, producer, **client).run();
    }
    sleep_between(process, 20, 220);
  }
  producer.done = true;
}

void run_reader(ProcessContext& process, OneNodeState& state) {
  while (!state.all_read) {
    const bool last = state.world.now() >= state.healed && state.all_done();
    StatusOr<std::unique_ptr<client::Client>> client = connect_to_node(process);
    state.last_read = client.ok() ? read_all(state, **client) : client.status();
    if (client.ok()) {
      state.judge_answer((*client)->violation(), "an answer to the reader");
    }
    state.passes += state.last_read.ok() ? 1U : 0U;
    state.all_read = last && state.last_read.ok();
    sleep_between(process, 200, 5000);
  }
}

void run_consumer(ProcessContext& process, OneNodeState& state) {
  FetchSessionClient session([&state](const std::string& what) { state.world.fail("FETCH-SESSION", what); });
  while (wants_more(state)) {
    StatusOr<std::unique_ptr<client::Client>> client = connect_to_node(process);
    Status going = client.ok() ? expect_topic(state, **client) : client.status();
    while (going.ok() && wants_more(state)) {
      going = consume_once(process, state, **client, session);
    }
    if (client.ok()) {
      state.judge_answer((*client)->violation(), "an answer to the consumer");
    }
    sleep_between(process, 50, 500);
  }
}

}  // namespace chronik::sim
