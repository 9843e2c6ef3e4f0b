#include "runtime/rocksdb_store.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <utility>

#include "core/base/check.h"
#include "runtime/io_wait.h"
#include "runtime/masked_signals.h"
#include "runtime/system_error.h"

namespace chronik::runtime {

namespace {

// RocksDB's own log would be a second one, with its own files; what matters comes back as a status.
class SilentLogger final : public rocksdb::Logger {
 public:
  using rocksdb::Logger::Logv;
  void Logv(const char* /*format*/, va_list /*arguments*/) override {}
};

rocksdb::Options small_options() {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(1 << 20, 0);
  rocksdb::Options options;
  options.create_if_missing = true;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.compression = rocksdb::kNoCompression;
  options.write_buffer_size = 4 << 20;
  options.max_write_buffer_number = 2;
  options.max_total_wal_size = 16 << 20;
  options.max_open_files = 64;
  options.max_background_jobs = 2;
  options.info_log = std::make_shared<SilentLogger>();
  // No threads that wake for statistics nobody reads.
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  // A torn last record was never acknowledged; anything else that is wrong in the log must not be passed over.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  options.avoid_flush_during_recovery = true;
  options.avoid_flush_during_shutdown = true;
  return options;
}

Status to_status(const rocksdb::Status& status) {
  if (status.ok()) {
    return ok();
  }
  const std::string text = "store: " + status.ToString();
  if (status.IsCorruption()) {
    return absl::DataLossError(text);
  }
  return status.IsNoSpace() ? absl::ResourceExhaustedError(text) : absl::InternalError(text);
}

rocksdb::WriteBatch to_rocksdb(const StoreBatch& batch) {
  rocksdb::WriteBatch out;
  const auto add = [](const rocksdb::Status& status) { CHECK(status.ok()); };
  for (const StoreBatch::Change& change : batch.changes) {
    if (change.put.has_value()) {
      add(out.Put(change.put->key, change.put->value));
    } else if (change.erase.has_value() && change.erase->from < change.erase->to) {
      const auto& [from, to] = *change.erase;
      // A range that holds one key at most needs no range tombstone, which every later read would have to look at.
      const bool one_key = to.size() == from.size() + 1 && to.back() == '\0' && to.compare(0, from.size(), from) == 0;
      add(one_key ? out.Delete(from) : out.DeleteRange(from, to));
    }
  }
  return out;
}

template <typename Call>
class StoreJob final : public HelperJob {
 public:
  StoreJob(SystemCalls& calls, bool commit, Call call) : calls_(calls), commit_(commit), call_(std::move(call)) {}
  std::int64_t run() override {
    const int error = calls_.enter_store(commit_);
    status_ = error == 0 ? to_status(call_()) : disk_error("store", "", -error);
    return static_cast<std::int64_t>(status_.code());
  }
  const Status& status() const { return status_; }

 private:
  SystemCalls& calls_;
  bool commit_;
  Call call_;
  Status status_;
};

}  // namespace

struct RocksdbStore::Database {
  std::unique_ptr<rocksdb::DB> db;
};

// A snapshot stays until the last job that reads it has ended.
class RocksdbStore::Snapshot final : public StoreSnapshot {
 public:
  Snapshot(RocksdbStore& store, std::shared_ptr<const rocksdb::Snapshot> at) : store_(store), at_(std::move(at)) {}

  StatusOr<std::vector<StoreEntry>> scan(std::string_view from, std::string_view to, std::size_t limit,
                                         const Deadline& deadline) override {
    const auto entries = std::make_shared<std::vector<StoreEntry>>();
    RETURN_IF_ERROR(store_.run(false, deadline,
                               [db = store_.database_->db.get(), at = at_, entries, begin = std::string(from),
                                end = std::string(to), limit]() -> rocksdb::Status {
                                 rocksdb::ReadOptions options;
                                 options.snapshot = at.get();
                                 const rocksdb::Slice bound(end);
                                 options.iterate_upper_bound = &bound;
                                 const std::unique_ptr<rocksdb::Iterator> it(db->NewIterator(options));
                                 for (it->Seek(begin); it->Valid() && entries->size() < limit; it->Next()) {
                                   entries->emplace_back(it->key().ToString(), it->value().ToString());
                                 }
                                 return it->status();
                               }));
    return std::move(*entries);
  }

 private:
  RocksdbStore& store_;
  std::shared_ptr<const rocksdb::Snapshot> at_;
};

StatusOr<std::unique_ptr<RocksdbStore>> RocksdbStore::open(EventLoop& loop, SystemCalls& calls,
                                                           const std::string& path) {
  const MaskedSignals masked;  // it starts threads
  rocksdb::DB* opened = nullptr;
  RETURN_IF_ERROR(to_status(rocksdb::DB::Open(small_options(), path, &opened)));
  auto database = std::make_unique<Database>();
  database->db.reset(opened);
  return std::unique_ptr<RocksdbStore>(new RocksdbStore(loop, calls, std::move(database)));
}

RocksdbStore::RocksdbStore(EventLoop& loop, SystemCalls& calls, std::unique_ptr<Database> database)
    : calls_(calls), database_(std::move(database)), helper_(loop, "store", 1) {}

RocksdbStore::~RocksdbStore() = default;

template <typename Call>
Status RocksdbStore::run(bool commit, const Deadline& deadline, Call call) {
  auto job = std::make_unique<StoreJob<Call>>(calls_, commit, std::move(call));
  const StatusOr<std::int64_t> result =
      helper_.run_as(job, {WaitKind::kStore, commit ? "commit" : "read", ""}, deadline);
  return result.ok() ? job->status() : result.status();
}

StatusOr<std::optional<std::string>> RocksdbStore::get(std::string_view key, const Deadline& deadline) {
  const auto value = std::make_shared<std::optional<std::string>>();
  RETURN_IF_ERROR(run(false, deadline, [db = database_->db.get(), value, name = std::string(key)]() -> rocksdb::Status {
    std::string found;
    const rocksdb::Status status = db->Get(rocksdb::ReadOptions(), name, &found);
    if (status.IsNotFound()) {
      return rocksdb::Status::OK();
    }
    *value = std::move(found);
    return status;
  }));
  return std::move(*value);
}

Status RocksdbStore::commit(StoreBatch batch, bool durable, const Deadline& deadline) {
  RETURN_IF_ERROR(cannot_begin(deadline));
  Status status =
      run(true, deadline, [db = database_->db.get(), changes = std::move(batch), durable]() -> rocksdb::Status {
        rocksdb::WriteOptions options;
        options.sync = durable;
        rocksdb::WriteBatch out = to_rocksdb(changes);
        return db->Write(options, &out);
      });
  const bool unknown = absl::IsDeadlineExceeded(status) || absl::IsCancelled(status);
  return unknown ? absl::UnknownError("store: a commit did not end in time") : status;
}

StatusOr<std::unique_ptr<StoreSnapshot>> RocksdbStore::snapshot(const Deadline& deadline) {
  const auto at = std::make_shared<std::shared_ptr<const rocksdb::Snapshot>>();
  RETURN_IF_ERROR(run(false, deadline, [db = database_->db.get(), at]() -> rocksdb::Status {
    *at = std::shared_ptr<const rocksdb::Snapshot>(
        db->GetSnapshot(), [db](const rocksdb::Snapshot* taken) { db->ReleaseSnapshot(taken); });
    return rocksdb::Status::OK();
  }));
  return std::unique_ptr<StoreSnapshot>(new Snapshot(*this, std::move(*at)));
}

}  // namespace chronik::runtime
