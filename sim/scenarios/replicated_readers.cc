// Readers of replicated partitions: one that reads everything over and over, and consumers that wait at the end.
#include <fmt/core.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "core/fiber/wait.h"
#include "core/protocol/messages/fetch.h"
#include "sim/scenarios/fetch_session.h"
#include "sim/scenarios/one_node.h"
#include "sim/scenarios/replicated.h"

namespace chronik::sim {

namespace {

using protocol::ErrorCode;
using protocol::FetchPartitionResponse;

constexpr std::int16_t kFetchOfNames = 12;  // the last version that names topics by their names
constexpr std::int32_t kReplicatedBytes = 65'536;

void ask_for(protocol::FetchRequest& request, std::size_t partition, std::int64_t position, LeaderEpoch epoch) {
  if (request.topics.empty()) {
    request.topics.emplace_back().topic = kLedgerTopic;
  }
  auto& wanted = request.topics.back().partitions.emplace_back();
  wanted.partition = partition_id(partition);
  wanted.fetch_offset = Offset(position);
  wanted.current_leader_epoch = epoch;
  wanted.last_fetched_epoch = LeaderEpoch::none();
  wanted.partition_max_bytes = kReplicatedBytes;
}

// session: null: without one.
StatusOr<protocol::FetchResponse> fetch_whole(client::Client& client, protocol::FetchRequest request,
                                              const Deadline& deadline, FetchSessionClient* session) {
  if (session == nullptr) {
    return client.call<protocol::FetchResponse>(request, kFetchOfNames, deadline);
  }
  session->begin(request);
  StatusOr<protocol::FetchResponse> got = client.call<protocol::FetchResponse>(request, kFetchOfNames, deadline);
  if (!got.ok()) {
    session->lost(/*gives_up=*/false);
  } else if (!session->end(*got)) {
    return absl::UnavailableError("the session has ended");
  }
  return got;
}

// Judges what a leader has answered to a fetch of `position`, which was read or is an end that somebody was told of,
// and moves it. Not ok: it is of no use now. may_be_full: other partitions may have left no room in the answer.
Status take_answer(ReplicatedState& state, std::size_t partition, const FetchPartitionResponse& answer,
                   std::int64_t known_start, std::int64_t& position, bool may_be_full = false) {
  Ledger& ledger = state.ledger;
  if (answer.error_code == ErrorCode::kOffsetOutOfRange && ledger.asked_start(partition) > 0) {
    if (answer.log_start_offset.value() > position &&
        ledger.begin_at(partition, answer.log_start_offset.value(), known_start, /*retained=*/false)) {
      position = answer.log_start_offset.value();
      return ok();
    }
    if (answer.high_watermark.value() >= position) {
      return absl::UnavailableError("the log's start is moving");
    }
  }
  const bool damaged = answer.error_code == ErrorCode::kCorruptMessage && !state.rots;
  if (answer.error_code == ErrorCode::kOffsetOutOfRange || damaged) {
    state.world->fail(
        "ACK-DURABLE",
        fmt::format("partition {} at {}: {}, with a log start of {} and a high watermark of {}", partition, position,
                    protocol::error_name(answer.error_code), answer.log_start_offset, answer.high_watermark));
  }
  if (answer.error_code != ErrorCode::kNone) {
    return absl::UnavailableError(std::string(protocol::error_name(answer.error_code)));
  }
  if (!ledger.read_at(partition, position, known_start)) {
    return absl::DataLossError("deleted");
  }
  ledger.see_watermark(partition, answer.high_watermark.value());
  const std::int64_t before = position;
  RETURN_IF_ERROR(take_records(*state.world, ledger, partition, answer.records.value_or(Slice()),
                               /*may_begin_within=*/false, position));
  const bool nothing = position == before && position < answer.high_watermark.value();
  if (nothing && !state.rots && !may_be_full) {
    state.world->fail("OFFSET-CONTIG", fmt::format("partition {}: nothing to be read at {} below the high watermark {}",
                                                   partition, position, answer.high_watermark));
  }
  return ok();
}

// What a leader must know to be deleted: one that does not know yet that it is none any more may tell of what is
// deleted elsewhere; once all is healed there is none.
std::int64_t known_start_of(const ReplicatedState& state, std::size_t partition) {
  const bool settled = state.world->now() > state.healed + Duration::seconds(20);
  return settled ? state.ledger.confirmed_start(partition) : 0;
}

// ---- everything, over and over ----

class ReplicatedReader {
 public:
  ReplicatedReader(ProcessContext& process, ReplicatedState& state)
      : process_(process), state_(state), leaders_(process, state) {}

  void run() {
    while (!state_.all_read) {
      const bool last = state_.world->now() >= state_.healed && state_.all_done();
      state_.last_read = read_all();
      state_.all_read = last && state_.last_read.ok();
      sleep_between(process_, 200, 3000);
    }
  }

 private:
  Status read_all() {
    RETURN_IF_ERROR(leaders_.refresh());
    if (state_.forwarded) {
      return read_together();
    }
    for (std::size_t partition = 0; partition < state_.ledger.partitions(); ++partition) {
      RETURN_IF_ERROR(read_partition(partition));
    }
    return ok();
  }

  // All partitions at once, of whichever leaders, from one node.
  Status read_together() {
    std::vector<std::int64_t> known;
    for (std::size_t partition = 0; partition < state_.ledger.partitions(); ++partition) {
      known.push_back(state_.ledger.known_end(partition));
    }
    std::vector<std::int64_t> positions(known.size());
    for (;;) {
      ASSIGN_OR_RETURN(client::Client * node, leaders_.leader_of(0));
      protocol::FetchRequest request;
      request.max_wait_ms = 500;
      request.min_bytes = 1;
      for (std::size_t partition = 0; partition < positions.size(); ++partition) {
        ask_for(request, partition, positions[partition], LeaderEpoch::none());
      }
      ASSIGN_OR_RETURN(const protocol::FetchResponse got,
                       fetch_whole(*node, std::move(request), node_patience(), state_.sessions ? &session_ : nullptr));
      if (got.responses.size() != 1 || got.responses[0].partitions.size() != positions.size()) {
        state_.world->fail("CONFORM", "a fetch is answered for other partitions than were asked for");
        return absl::DataLossError("partitions");
      }
      const std::vector<std::int64_t> before = positions;
      const bool brings_some =
          std::any_of(got.responses[0].partitions.begin(), got.responses[0].partitions.end(),
                      [](const FetchPartitionResponse& answer) { return !answer.records.value_or(Slice()).empty(); });
      for (std::size_t partition = 0; partition < positions.size(); ++partition) {
        RETURN_IF_ERROR(take_answer(state_, partition, got.responses[0].partitions[partition], 0, positions[partition],
                                    brings_some));
      }
      if (positions != before) {
        continue;
      }
      for (std::size_t partition = 0; partition < positions.size(); ++partition) {
        RETURN_IF_ERROR(reached(partition, positions[partition], known[partition]));
      }
      return ok();
    }
  }

  // From its first offset up to all that was known when this began.
  Status read_partition(std::size_t partition) {
    const std::int64_t known = state_.ledger.known_end(partition);
    std::int64_t position = 0;
    for (;;) {
      const std::int64_t known_start = known_start_of(state_, partition);
      ASSIGN_OR_RETURN(client::Client * leader, leaders_.leader_of(partition));
      ASSIGN_OR_RETURN(const FetchPartitionResponse got,
                       leader->fetch_waiting(kLedgerTopic, partition_id(partition), Offset(position), kReplicatedBytes,
                                             Duration::milliseconds(500), node_patience()));
      const std::int64_t before = position;
      RETURN_IF_ERROR(take_answer(state_, partition, got, known_start, position));
      if (position == before) {
        return reached(partition, position, known);
      }
    }
  }

  // A new leader says nothing of what it does not know to be committed.
  static Status reached(std::size_t partition, std::int64_t position, std::int64_t known) {
    return position >= known ? ok()
                             : absl::UnavailableError(
                                   fmt::format("partition {} ends at {}; {} were known", partition, position, known));
  }

  ProcessContext& process_;
  ReplicatedState& state_;
  LeaderClients leaders_;
  FetchSessionClient session_{[this](const std::string& what) { state_.world->fail("FETCH-SESSION", what); }};
};

// ---- at the end of one partition ----

class ReplicatedConsumer {
 public:
  ReplicatedConsumer(ProcessContext& process, ReplicatedState& state)
      : process_(process),
        state_(state),
        consumer_(state.consumers.at(process.machine.name())),
        leaders_(process, state) {}

  void run() {
    for (;;) {
      if (leaders_.refresh().ok()) {
        follow();
      }
      sleep_between(process_, 20, 300);
    }
  }

 private:
  // Until the leader is to be asked for anew. It is asked in the epoch in which it leads (KIP-320): one that was
  // deposed without knowing it, and lacks what its successors have, would say so of an offset that is there.
  void follow() {
    const std::size_t partition = consumer_.partition;
    const LeaderEpoch epoch = leaders_.epoch_of(partition);
    const StatusOr<client::Client*> leader = leaders_.leader_of(partition);
    if (!leader.ok() || epoch < consumer_.epoch) {
      return;
    }
    consumer_.epoch = epoch;
    Offset watermark{0};
    FetchSessionClient session([this](const std::string& what) { state_.world->fail("FETCH-SESSION", what); });
    for (;;) {
      protocol::FetchRequest request;
      request.max_wait_ms = static_cast<std::int32_t>(consumer_.wait.milliseconds());
      request.min_bytes = 1;
      ask_for(request, partition, consumer_.at, epoch);
      const std::int64_t known_start = known_start_of(state_, partition);
      const StatusOr<protocol::FetchResponse> got =
          fetch_whole(**leader, std::move(request), fiber::within(consumer_.wait + kNodePatience, Expiry::kPeer),
                      state_.sessions ? &session : nullptr);
      if (!got.ok() || got->responses.size() != 1 || got->responses[0].partitions.size() != 1) {
        return;
      }
      const FetchPartitionResponse& answer = got->responses[0].partitions[0];
      if (answer.error_code == ErrorCode::kNone && answer.high_watermark < watermark) {
        return state_.world->fail(
            "HW-MONO", fmt::format("partition {}: one connection is told of a high watermark of {}, then of {}",
                                   partition, watermark, answer.high_watermark));
      }
      watermark = std::max(watermark, answer.high_watermark);
      if (!take_answer(state_, partition, answer, known_start, consumer_.at).ok()) {
        return;
      }
    }
  }

  ProcessContext& process_;
  ReplicatedState& state_;
  ReplicatedState::Consumer& consumer_;
  LeaderClients leaders_;
};

}  // namespace

void run_replicated_reader(ProcessContext& process, ReplicatedState& state) { ReplicatedReader(process, state).run(); }

bool judge_all_read(World& world, const ReplicatedState& state, std::string_view known) {
  if (!state.all_read) {
    world.fail("REPLICA-LIVE", fmt::format("not everything was produced and read after all was healed: {} of {} "
                                           "acknowledged, the reader's latest pass: {}{}\n{}",
                                           state.ledger.acknowledged(), state.ledger.sent(), state.last_read.ToString(),
                                           known, world.describe_waits()));
  }
  return state.all_read;
}

void run_replicated_consumer(ProcessContext& process, ReplicatedState& state) {
  ReplicatedConsumer(process, state).run();
}

}  // namespace chronik::sim
