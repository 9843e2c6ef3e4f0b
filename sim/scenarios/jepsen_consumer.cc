// How a client of the scenario `jepsen` polls.
#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "core/base/endian.h"
#include "core/fiber/wait.h"
#include "core/protocol/messages/fetch.h"
#include "core/protocol/record_batch_records.h"
#include "core/protocol/record_batch_walk.h"
#include "sim/scenarios/jepsen_parts.h"
#include "sim/scenarios/one_node.h"

namespace chronik::sim {

using protocol::ErrorCode;

namespace {

constexpr std::int16_t kJepsenFetchVersion = 12;  // the last that names topics by their names
constexpr std::int32_t kFinalPollBytes = 65'536;
constexpr Duration kPollWait = Duration::milliseconds(100);

// -1: nobody sends such bytes.
jepsen::Value value_of_bytes(ByteSpan bytes) {
  const std::uint64_t value = bytes.size() < 8 ? 0 : load_big<std::uint64_t>(bytes.data());
  return as_text(bytes) == Ledger::bytes_of(value, bytes.size()) ? static_cast<jepsen::Value>(value) : -1;
}

}  // namespace

void JepsenConsumer::assign(const std::vector<jepsen::Key>& keys, bool from_the_start) {
  member_.unsubscribe();
  const JepsenPositions before = std::exchange(positions_, {});
  for (const jepsen::Key key : keys) {
    const auto known = before.find(key);
    positions_[key] = from_the_start || known == before.end() ? 0 : known->second;
  }
}

void JepsenConsumer::subscribe() {
  if (!member_.subscribed()) {
    positions_.clear();
  }
  member_.subscribe();
}

void JepsenConsumer::commit() {
  if (!member_.subscribed()) {
    return;
  }
  for (const auto& [key, position] : positions_) {
    std::int64_t& group_polled = state_.group_polled.at(static_cast<std::size_t>(key));
    group_polled = std::max(group_polled, position);
  }
  member_.commit(positions_);
}

bool JepsenConsumer::knows_everything() const {
  return positions_.size() == state_.known_end.size() &&
         std::all_of(positions_.begin(), positions_.end(), [this](const auto& at) {
           return at.second >= state_.known_end[static_cast<std::size_t>(at.first)];
         });
}

void JepsenConsumer::poll(jepsen::MicroOp& op) {
  op.rebalanced = member_.subscribed() && !member_.take_part(positions_);
  if (!leaders_.find().ok()) {
    return sleep_between(process_, 20, 220);
  }
  std::vector<std::pair<client::Client*, std::vector<jepsen::Key>>> of_leaders;
  for (const auto& [key, position] : positions_) {
    const StatusOr<client::Client*> leader = leaders_.of(key);
    if (!leader.ok()) {
      continue;
    }
    const auto known =
        std::find_if(of_leaders.begin(), of_leaders.end(), [&](const auto& one) { return one.first == *leader; });
    (known == of_leaders.end() ? of_leaders.emplace_back(*leader, std::vector<jepsen::Key>()) : *known)
        .second.push_back(key);
  }
  for (const auto& [leader, keys] : of_leaders) {
    fetch(*leader, keys, op.polled);
  }
}

void JepsenConsumer::fetch(client::Client& leader, const std::vector<jepsen::Key>& keys,
                           std::map<jepsen::Key, jepsen::Pairs>& polled) {
  const bool healed = state_.world->now() >= state_.healed;
  protocol::FetchRequest request;
  request.max_wait_ms = static_cast<std::int32_t>(kPollWait.milliseconds());
  request.min_bytes = 1;
  protocol::FetchTopic& topic = request.topics.emplace_back();
  topic.topic = kLedgerTopic;
  for (const jepsen::Key key : keys) {
    protocol::FetchPartition& wanted = topic.partitions.emplace_back();
    wanted.partition = partition_id(static_cast<std::size_t>(key));
    wanted.fetch_offset = Offset(positions_.at(key));
    wanted.current_leader_epoch = leaders_.epoch_of(key);
    wanted.last_fetched_epoch = LeaderEpoch::none();
    wanted.partition_max_bytes = healed ? kFinalPollBytes : state_.poll_bytes;
  }
  const Deadline patience =
      healed ? node_patience() : fiber::within(kPollWait + state_.request_timeout, Expiry::kNormal);
  const StatusOr<protocol::FetchResponse> got =
      leader.call<protocol::FetchResponse>(request, kJepsenFetchVersion, patience);
  if (!got.ok()) {
    return leaders_.doubt();
  }
  if (got->responses.size() != 1 || got->responses[0].partitions.size() != keys.size()) {
    return state_.world->fail("CONFORM", "a fetch is answered for other partitions than were asked for");
  }
  for (const protocol::FetchPartitionResponse& answer : got->responses[0].partitions) {
    const auto key = static_cast<jepsen::Key>(answer.partition_index.value());
    if (answer.error_code != ErrorCode::kNone) {
      judge_error(key, answer.error_code);
    } else if (answer.records.has_value()) {
      take_records(key, *answer.records, polled);
    }
  }
}

void JepsenConsumer::take_records(jepsen::Key key, const Slice& records, std::map<jepsen::Key, jepsen::Pairs>& polled) {
  std::int64_t& position = positions_.at(key);
  std::int64_t& known_end = state_.known_end.at(static_cast<std::size_t>(key));
  protocol::BatchWalk walk(records.bytes(), protocol::BatchWalk::Checksums::kCheck);
  protocol::RecordBatchView batch;
  while (walk.next(batch)) {
    protocol::RecordIterator iterator(batch);
    protocol::RecordView record;
    while (iterator.next(record)) {
      const std::int64_t offset = record.offset(batch).value();
      if (offset < position) {
        continue;  // a batch is served as a whole
      }
      polled[key].emplace_back(offset, value_of_bytes(record.value_bytes));
      position = offset + 1;
    }
  }
  known_end = std::max(known_end, position);
  if (walk.stop() != protocol::BatchDefect::kNone && walk.stop() != protocol::BatchDefect::kTruncated) {
    state_.world->fail("WAL", fmt::format("partition {} at {}: damaged bytes were served", key, position));
  }
}

void JepsenConsumer::judge_error(jepsen::Key key, ErrorCode error) {
  leaders_.doubt();
  switch (error) {
    case ErrorCode::kOffsetOutOfRange: positions_.at(key) = 0; return;  // auto.offset.reset=earliest
    case ErrorCode::kNotLeaderOrFollower:
    case ErrorCode::kFencedLeaderEpoch:
    case ErrorCode::kUnknownLeaderEpoch:
    case ErrorCode::kUnknownTopicOrPartition: return;
    default: state_.world->fail("CONFORM", fmt::format("fetch: {}", protocol::error_name(error)));
  }
}

}  // namespace chronik::sim
