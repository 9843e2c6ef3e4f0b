// What a person asks of a process that seems to hang: what waits for what, where each fiber is, and, of a loop that
// does not answer, where its thread is.
#pragma once

#include <mutex>
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
  // Made on the shard's thread, as the shard is run. Both outlive it.
  DebugPages(runtime::Mailboxes& mailboxes, runtime::ShardRuntime& shard, ShardId id, NodeId node)
      : mailboxes_(mailboxes), shard_(shard), id_(id), node_(node) {}

  // From any other thread, one at a time each.
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
  inspect::AskableThread thread_;
  std::mutex mutex_;  // one asks the thread at a time
};

}  // namespace chronik::server
