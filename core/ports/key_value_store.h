// Port: a small ordered store with atomic batches. It holds Raft's state and the node's identity, never logs (rule R6).
//
// After a crash exactly the batches up to some point are there, each whole; every batch committed as durable is. A
// durable commit that fails or is overdue is a failed sync: the caller ends the process. Every call suspends. Errors:
// kInternal, kDataLoss, kUnknown (a commit whose deadline passed), kDeadlineExceeded, kAborted.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/deadline.h"
#include "core/base/status.h"

namespace chronik {

// Changes applied in order, all or none.
struct StoreBatch {
  struct Put {
    std::string key;
    std::string value;
  };
  struct Erase {  // every key in [from, to)
    std::string from;
    std::string to;
  };
  struct Change {
    std::optional<Put> put;
    std::optional<Erase> erase;
  };
  std::vector<Change> changes;

  void put(std::string_view key, std::string_view value) {
    changes.push_back({.put = Put{std::string(key), std::string(value)}, .erase = std::nullopt});
  }
  void erase_range(std::string_view from, std::string_view to) {
    changes.push_back({.put = std::nullopt, .erase = Erase{std::string(from), std::string(to)}});
  }
  void erase(std::string_view key) { erase_range(key, std::string(key) + '\0'); }
};

using StoreEntry = std::pair<std::string, std::string>;

// The store as it was at one moment. Holds memory of the store while it lives; destroying it does not suspend.
class StoreSnapshot {
 public:
  virtual ~StoreSnapshot() = default;
  // Entries with from <= key < to in order of their bytes, at most `limit` of them.
  virtual StatusOr<std::vector<StoreEntry>> scan(std::string_view from, std::string_view to, std::size_t limit,
                                                 const Deadline& deadline) = 0;
};

class KeyValueStore {
 public:
  virtual ~KeyValueStore() = default;
  virtual StatusOr<std::optional<std::string>> get(std::string_view key, const Deadline& deadline) = 0;
  virtual Status commit(StoreBatch batch, bool durable, const Deadline& deadline) = 0;
  virtual StatusOr<std::unique_ptr<StoreSnapshot>> snapshot(const Deadline& deadline) = 0;
};

}  // namespace chronik
