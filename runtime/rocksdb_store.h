// KeyValueStore on RocksDB, kept small: Raft's state and the node's identity, never on a hot path (rule R6).
//
// Every call runs on the store's own helper thread, in the order of calls. The only pair of files that knows RocksDB.
#pragma once

#include <memory>
#include <string>

#include "core/ports/key_value_store.h"
#include "runtime/event_loop.h"
#include "runtime/helper_pool.h"
#include "runtime/system_calls.h"

namespace chronik::runtime {

class RocksdbStore final : public KeyValueStore {
 public:
  // Opens or creates the store in directory `path`, on the calling thread. kDataLoss where it is damaged.
  static StatusOr<std::unique_ptr<RocksdbStore>> open(EventLoop& loop, SystemCalls& calls, const std::string& path);
  ~RocksdbStore() override;  // after every snapshot

  StatusOr<std::optional<std::string>> get(std::string_view key, const Deadline& deadline) override;
  Status commit(StoreBatch batch, bool durable, const Deadline& deadline) override;
  StatusOr<std::unique_ptr<StoreSnapshot>> snapshot(const Deadline& deadline) override;

  std::size_t in_flight() const { return helper_.in_flight(); }

 private:
  struct Database;
  class Snapshot;
  RocksdbStore(EventLoop& loop, SystemCalls& calls, std::unique_ptr<Database> database);

  // Runs call() on the helper. Its result is the status code of what happened; the text goes to `message`.
  template <typename Call>
  Status run(bool commit, const Deadline& deadline, Call call);

  SystemCalls& calls_;
  std::unique_ptr<Database> database_;
  HelperPool helper_;  // last: its jobs use the database until it is destroyed
};

}  // namespace chronik::runtime
