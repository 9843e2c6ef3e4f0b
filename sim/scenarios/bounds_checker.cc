#include "sim/scenarios/bounds_checker.h"

#include <fmt/core.h>

#include <algorithm>

#include "sim/disk_faults.h"
#include "sim/network.h"
#include "sim/scenarios/one_node.h"
#include "sim/shard.h"

namespace chronik::sim {

namespace {

constexpr Duration kBetweenLooks = Duration::milliseconds(100);
// Fibers of a node that serves nobody: committer, filler, drainer, keeper, voter, acceptor and the like.
constexpr std::uint64_t kFibersAlone = 24;
// How long nobody must have been there: what was under way is over by then.
constexpr Duration kRest = Duration::seconds(30);

}  // namespace

BoundsChecker::BoundsChecker(World& world, OneNodeState& state) : world_(world), state_(state) {
  world_.after(kBetweenLooks, [this] { look(); });
}

void BoundsChecker::on_exit(Machine& machine, const Exit& /*exit*/) {
  if (&machine == state_.machine) {
    alone_since_ = VirtualTime::never();
    // A recovery needs one more than the log that runs; where its checkpoint is rotten, perhaps another.
    expect(wal_files(), state_.config.logs.wal.files_max + (state_.rules.disk_rots ? 2 : 1),
           "files of the write-ahead log after a death");
  }
}

std::uint64_t BoundsChecker::wal_files() const {
  const auto names = disk_of(*state_.machine).model().list_directory(state_.config.logs.wal.directory);
  return names.ok() ? names->size() : 0;
}

void BoundsChecker::look() {
  if (state_.node != nullptr && state_.machine->running() && !state_.machine->suspended()) {
    look_at_bounds();
    look_at_rest();
  }
  world_.after(kBetweenLooks, [this] { look(); });
}

void BoundsChecker::expect(std::uint64_t amount, std::uint64_t most, std::string_view what) {
  if (amount > most) {
    world_.fail("BOUNDED", fmt::format("{} {}, at most {} are right\n{}", amount, what, most, world_.describe_waits()));
  }
}

void BoundsChecker::look_at_bounds() {
  const broker::Limits& limits = state_.config.limits;
  const broker::Server& server = state_.node->server();
  expect(server.connections(), limits.connections_max, "connections");
  expect(server.request_bytes().used(), limits.request_bytes_per_node, "bytes of requests");
  expect(server.response_bytes().used(), limits.response_bytes_per_node, "bytes of answers");
  const log::StoredLogsOptions& logs = state_.config.logs;
  expect(state_.node->logs().tail_bytes(),
         std::max(logs.undrained_bytes_max, logs.tail_bytes_max) + logs.wal.record_bytes_max,
         "bytes of records that are in no segment");
  // A reader, a writer and one for each request, of each connection.
  expect(state_.machine->shards().front()->scheduler().fibers(),
         kFibersAlone + server.connections() * (2 + limits.requests_per_connection), "fibers");
  expect(disk_of(*state_.machine).open_files(),
         state_.config.logs.open_files_max + 2 * state_.config.logs.wal.files_max + 8, "open files");
  expect(wal_files(), state_.config.logs.wal.files_max, "files of the write-ahead log");
}

void BoundsChecker::look_at_rest() {
  const std::uint64_t turns = state_.machine->shards().front()->scheduler().turns();
  if (world_.network().live_streams() != 0) {
    alone_since_ = VirtualTime::never();
    return;
  }
  if (alone_since_ == VirtualTime::never()) {
    alone_since_ = world_.now();
    turns_then_ = turns;
    return;
  }
  if (world_.now() - alone_since_ < kRest) {
    return;
  }
  const broker::Server& server = state_.node->server();
  expect(server.connections(), 0, "connections without a client");
  expect(server.request_bytes().used(), 0, "bytes of requests without a client");
  expect(server.response_bytes().used(), 0, "bytes of answers without a client");
  expect(state_.machine->shards().front()->scheduler().fibers(), kFibersAlone, "fibers without a client");
  const std::uint64_t most = kIdleTurns * static_cast<std::uint64_t>(kRest.milliseconds()) / 1000;
  if (turns - turns_then_ > most) {
    world_.fail("NO-SPIN",
                fmt::format("{} turns in {} s without a client", turns - turns_then_, kRest.milliseconds() / 1000));
  }
  alone_since_ = VirtualTime::never();
}

}  // namespace chronik::sim
