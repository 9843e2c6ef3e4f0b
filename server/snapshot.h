// What other threads learn of a shard, and have it do: they ask through its mailbox, and a fiber of the shard answers
// with a copy.
//
// So nobody but the shard reads its state (rule S5), and a shard that nobody asks is not woken.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/fiber/scope.h"
#include "core/node/status.h"
#include "core/ports/mailbox.h"
#include "runtime/mailboxes.h"
#include "server/http_server.h"
#include "server/metric_sample.h"

namespace chronik::server {

// What is wanted besides the state: what costs a walk over all partitions is not made for whoever asks for less.
enum class Wanted : std::uint8_t { kState, kMetrics, kStatus };

struct ShardSnapshot {
  bool serving = false;
  std::string state;  // "starting", "serving", "stopping"
  std::vector<MetricSample> metrics = {};
  std::optional<node::NodeStatus> status = {};
};

// From any thread, never the shard's own: waits for the answer, `patience` at most. Empty: there came none.
std::optional<ShardSnapshot> ask_shard(runtime::Mailboxes& mailboxes, ShardId shard, Wanted wanted, Duration patience);

// Has the shard do something, in a fiber of its own, and waits for what comes of it. Empty: the shard did not answer
// within `patience`; whether it is done is not known.
using ShardOrder = std::function<HttpPage()>;
std::optional<HttpPage> order_shard(runtime::Mailboxes& mailboxes, ShardId shard, ShardOrder order, Duration patience);

// Answers with take(wanted), in a fiber of its own, as long as it lives. Made within a fiber; the one receiver of its
// shard's mailbox.
class SnapshotService {
 public:
  using Take = std::function<ShardSnapshot(Wanted)>;
  SnapshotService(Mailbox& mailbox, Take take);
  ~SnapshotService();
  SnapshotService(const SnapshotService&) = delete;
  SnapshotService& operator=(const SnapshotService&) = delete;

 private:
  void answer_all();

  Mailbox& mailbox_;
  Take take_;
  std::uint64_t orders_ = 0;
  fiber::FiberScope scope_;
};

}  // namespace chronik::server
