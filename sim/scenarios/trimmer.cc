// Deletes records of the ledger's topic: below some offset that is known to be there, sometimes below the high
// watermark whatever that is, and sometimes beyond it, which must be refused. Checker LOG-START.
#include <fmt/core.h>

#include <algorithm>
#include <limits>

#include "core/fiber/wait.h"
#include "core/protocol/messages/delete_records.h"
#include "sim/scenarios/one_node.h"

namespace chronik::sim {

namespace {

using protocol::ErrorCode;

constexpr std::int16_t kDeleteRecordsVersion = 2;
constexpr std::int64_t kFarBeyond = 1'000'000;
constexpr std::int32_t kTrimTimeoutMs = 10'000;

class Trimmer {
 public:
  Trimmer(ProcessContext& process, OneNodeState& state, client::Client& client)
      : process_(process), state_(state), client_(client) {}

  void run() {
    while (!client_.broken() && state_.world.now() < state_.healed) {
      trim(draw(state_.ledger.partitions()));
      sleep_between(process_, 10, 11 + static_cast<std::int64_t>(draw(4000)));
    }
    state_.judge_answer(client_.violation(), "an answer to the trimmer");
  }

 private:
  std::uint64_t draw(std::uint64_t ways) { return process_.ports.random.next() % ways; }

  // None: whatever is there.
  Offset target(std::size_t partition) {
    const std::int64_t start = state_.ledger.log_start(partition);
    const std::int64_t end = state_.ledger.known_end(partition);
    switch (draw(16)) {
      case 0: return Offset(end + kFarBeyond);
      case 1: return state_.deletes_everything ? Offset::none() : Offset(end);
      case 2: return Offset(start);
      default: break;
    }
    const auto width = static_cast<std::uint64_t>(std::max<std::int64_t>(end - start, 0)) / (1 + draw(4));
    return Offset(start + static_cast<std::int64_t>(draw(width + 1)));
  }

  void trim(std::size_t partition) {
    const Offset to = target(partition);
    // Where records were stored whose acknowledgement nobody got, retention may have moved the start beyond the last
    // end that anybody knows.
    const std::int64_t reached = std::max(state_.ledger.known_end(partition), state_.ledger.log_start(partition));
    const bool too_much = to.value() > reached;
    if (!too_much) {
      state_.ledger.ask_start(partition, to == Offset::none() ? std::numeric_limits<std::int64_t>::max() : to.value());
    }
    protocol::DeleteRecordsRequest request;
    const bool hasty = state_.world.now() < state_.healed && draw(4) == 0;
    request.timeout_ms = hasty ? static_cast<std::int32_t>(1 + draw(50)) : kTrimTimeoutMs;
    request.topics.push_back(
        {.name = kLedgerTopic, .partitions = {{.partition_index = partition_id(partition), .offset = to}}});
    const auto got = client_.call<protocol::DeleteRecordsResponse>(request, kDeleteRecordsVersion, node_patience());
    state_.judge_answer(got.status(), "delete records");
    judge_lasting(state_, got.status());
    if (!got.ok()) {
      return client_.close();
    }
    if (got->topics.size() != 1 || got->topics[0].partitions.size() != 1) {
      return state_.world.fail("CONFORM", "an answer about other partitions than were asked for");
    }
    judge(partition, to, too_much, got->topics[0].partitions[0]);
  }

  void judge(std::size_t partition, Offset to, bool too_much, const protocol::DeleteRecordsPartitionResult& answer) {
    state_.world.trace().record(Record::kClient, partition, static_cast<std::uint64_t>(answer.error_code),
                                static_cast<std::uint64_t>(to.value()));
    const auto fail = [&](const char* what) {
      state_.world.fail(
          "LOG-START",
          fmt::format("partition {}: deletion below {} is answered {} with a start of {}: {}", partition, to.value(),
                      protocol::error_name(answer.error_code), answer.low_watermark.value(), what));
    };
    if (answer.error_code == ErrorCode::kOffsetOutOfRange) {
      return too_much ? void() : fail("the log reaches further");
    }
    if (answer.error_code == ErrorCode::kRequestTimedOut) {
      return;
    }
    state_.judge_error(answer.error_code, "delete records");
    if (answer.error_code != ErrorCode::kNone) {
      return;
    }
    const std::int64_t start = answer.low_watermark.value();
    if (too_much) {
      return fail("there is nothing yet");
    }
    if (start < to.value() || start < 0) {
      return fail("it was acknowledged");
    }
    if (start > state_.ledger.asked_start(partition) && !state_.rules.retains) {
      return fail("nobody asked for so much");
    }
    state_.world.fault_fired("records deleted");
    if (to != Offset::none()) {
      state_.ledger.confirm_start(partition, to.value());
    } else if (!state_.rules.retains) {
      state_.ledger.confirm_start(partition, start);  // else the broker's own deletion may be in it, not yet durable
    }
  }

  ProcessContext& process_;
  OneNodeState& state_;
  client::Client& client_;
};

}  // namespace

void run_trimmer(ProcessContext& process, OneNodeState& state) {
  while (state.world.now() < state.healed) {
    StatusOr<std::unique_ptr<client::Client>> client = connect_to_node(process);
    if (client.ok() && expect_topic(state, **client).ok()) {
      Trimmer(process, state, **client).run();
    }
    sleep_between(process, 20, 500);
  }
}

}  // namespace chronik::sim
