// What a person asks of a process that seems to hang: what waits for what, where each fiber is, and, of a loop that
// does not answer, where its thread is.
#pragma once

#include <mutex>
#include <optional>
#include <string>

#include "inspect/thread_stack.h"
#include "runtime/mailboxes.h"
#include "runtime/shard_runtime.h"
#include "runtime/shard_waits.h"
#include "runtime/stalling_calls.h"
#include "server/http_server.h"

namespace chronik::server {

class DebugPages {
 public:
  // Both outlive it.
  DebugPages(runtime::Mailboxes& mailboxes, runtime::ShardRuntime& shard, ShardId id, NodeId node)
      : mailboxes_(mailboxes), shard_(shard), id_(id), node_(node) {}

  // On the shard's thread, once that masks its signals: from now on it can be asked where it is.
  void be_asked_here();

  // From any other thread.
  HttpPage waits();       // in words
  HttpPage waits_json();  // as data
  // POST: {"stall_ms": 30000}, 0 to 600000; 0 ends it.
  static HttpPage stall_disk(runtime::StallingCalls& calls, const std::string& body);

 private:
  using Render = std::string (*)(NodeId node, const runtime::ShardWaits& waits);
  HttpPage page(const char* content_type, Render render);
  std::string where_the_thread_is();

  runtime::Mailboxes& mailboxes_;
  runtime::ShardRuntime& shard_;
  ShardId id_;
  NodeId node_;
  std::mutex mutex_;
  std::optional<inspect::AskableThread> thread_;  // guarded by mutex_: one asks at a time
};

}  // namespace chronik::server
