#include "sim/scenarios/bounds_checker.h"

#include <fmt/core.h>

#include <algorithm>
#include <string>
#include <vector>

#include "sim/disk_faults.h"
#include "sim/machine.h"
#include "sim/network.h"
#include "sim/shard.h"

namespace chronik::sim {

namespace {

// Fibers of a node that serves nobody: committer, filler, drainer, keeper, voter, acceptor and the like.
constexpr std::uint64_t kFibersAlone = 24;
// For each other node: those of the links both ways, of its fetches and of what is fetched and forwarded to it.
constexpr std::uint64_t kFibersPerPeer = 24;
// Of a connection that is asked for nothing: a reader and a writer.
constexpr std::uint64_t kFibersPerConnection = 2;
// For each partition of __consumer_offsets that is led here.
constexpr std::uint64_t kFibersPerCoordinator = 2;
// Of one other node to this one: its fetcher, and what it forwards.
constexpr std::uint64_t kConnectionsPerPeer = 8;
// How long nobody must have been there: what was under way is over by then.
constexpr Duration kRest = Duration::seconds(30);

}  // namespace

BoundsChecker::BoundsChecker(World& world, Machine& machine, Views views)
    : world_(world), machine_(machine), views_(std::move(views)) {
  world_.after(views_.between_looks, [this] { look(); });
}

void BoundsChecker::on_exit(Machine& machine, const Exit& /*exit*/) {
  if (&machine == &machine_) {
    alone_since_ = VirtualTime::never();
    // A recovery needs one more than the log that runs; where its checkpoint is rotten, perhaps another.
    expect(wal_files(), views_.config().logs.wal.files_max + (views_.rots() ? 2 : 1),
           "files of the write-ahead log after a death");
  }
}

std::uint64_t BoundsChecker::wal_files() const {
  const auto names = disk_of(machine_).model().list_directory(views_.config().logs.wal.directory);
  return names.ok() ? names->size() : 0;
}

std::uint64_t BoundsChecker::fibers() const { return machine_.shards().front()->scheduler().fibers(); }

std::uint64_t BoundsChecker::fibers_alone() const {
  return kFibersAlone + views_.peers() * kFibersPerPeer + views_.node()->groups().led() * kFibersPerCoordinator;
}

void BoundsChecker::look() {
  if (!views_.alone || !views_.alone()) {
    gone_since_ = VirtualTime::never();
  } else if (gone_since_ == VirtualTime::never()) {
    gone_since_ = world_.now();
  }
  if (views_.node() != nullptr && machine_.running() && !machine_.suspended()) {
    look_at_bounds();
    look_at_rest();
  }
  world_.after(views_.between_looks, [this] { look(); });
}

void BoundsChecker::expect(std::uint64_t amount, std::uint64_t most, std::string_view what) {
  if (amount > most) {
    world_.fail("BOUNDED", fmt::format("{} {}, at most {} are right\n{}", amount, what, most, world_.describe_waits()));
  }
}

void BoundsChecker::look_at_bounds() {
  const broker::Limits& limits = views_.config().limits;
  const broker::Server& server = views_.node()->server();
  expect(server.connections(), limits.connections_max, "connections");
  expect(server.request_bytes().used(), limits.request_bytes_per_node, "bytes of requests");
  expect(server.response_bytes().used(), limits.response_bytes_per_node, "bytes of answers");
  const log::StoredLogsOptions& logs = views_.config().logs;
  expect(views_.node()->logs().tail_bytes(),
         std::max(logs.undrained_bytes_max, logs.tail_bytes_max) + logs.wal.record_bytes_max,
         "bytes of records that are in no segment");
  expect(fibers(), fibers_alone() + server.connections() * (kFibersPerConnection + limits.requests_per_connection),
         "fibers");
  expect(disk_of(machine_).open_files(),
         views_.config().logs.open_files_max + 2 * views_.config().logs.wal.files_max + 8, "open files");
  expect(wal_files(), views_.config().logs.wal.files_max, "files of the write-ahead log");
}

void BoundsChecker::look_at_rest() {
  const std::uint64_t turns = machine_.shards().front()->scheduler().turns();
  if (world_.network().live_streams() != 0 || (views_.alone && gone_since_ == VirtualTime::never())) {
    alone_since_ = VirtualTime::never();
    return;
  }
  if (alone_since_ == VirtualTime::never()) {
    if (views_.node()->logs().keys().size() > views_.node()->table().partitions()) {
      return;  // it deletes what clients had deleted, one log after the other
    }
    alone_since_ = world_.now();
    turns_then_ = turns;
    return;
  }
  if (world_.now() - alone_since_ < kRest) {
    return;
  }
  const broker::Server& server = views_.node()->server();
  expect(server.connections(), 0, "connections without a client");
  expect(server.request_bytes().used(), 0, "bytes of requests without a client");
  expect(server.response_bytes().used(), 0, "bytes of answers without a client");
  expect(fibers(), fibers_alone(), "fibers without a client");
  const std::uint64_t most = views_.idle_turns() * static_cast<std::uint64_t>(kRest.milliseconds()) / 1000;
  if (turns - turns_then_ > most) {
    world_.fail("NO-SPIN",
                fmt::format("{} turns in {} s without a client", turns - turns_then_, kRest.milliseconds() / 1000));
  }
  alone_since_ = VirtualTime::never();
}

void BoundsChecker::at_end(World& /*world*/) {
  if (views_.node() == nullptr || gone_since_ == VirtualTime::never() || world_.now() - gone_since_ < kRest) {
    return;
  }
  const broker::Server& server = views_.node()->server();
  const std::size_t half_open = world_.network().half_open(machine_);
  expect(server.connections(), views_.peers() * kConnectionsPerPeer + half_open, "connections without a client");
  expect(server.response_bytes().used(), 0, "bytes of answers without a client");
  expect(fibers(), fibers_alone() + half_open * kFibersPerConnection, "fibers without a client");
}

std::string directories_left(Machine& machine, const node::Node& node) {
  const auto& disk = disk_of(machine).model();
  const std::vector<std::string> logs = disk.list_directory("logs").value_or(std::vector<std::string>());
  const std::vector<std::string> aside = disk.list_directory("strays").value_or(std::vector<std::string>());
  const std::size_t partitions = node.table().partitions();
  if (logs.size() + aside.size() <= partitions) {
    return "";
  }
  return fmt::format("{} has {} partitions, {} directories of partitions and {} set aside{}", machine.name(),
                     partitions, logs.size(), aside.size(),
                     aside.empty() ? "" : ", the first of them " + aside.front());
}

}  // namespace chronik::sim
