#include <utility>
#include <vector>

#include "runtime/logged_parts.h"

namespace chronik::runtime {

namespace {

using logged::print;
using logged::put_text;
using logged::take_text;

class LoggedSnapshot final : public StoreSnapshot {
 public:
  LoggedSnapshot(LogSession& session, std::unique_ptr<StoreSnapshot> real)
      : session_(session), real_(std::move(real)), object_(session.next_object()) {}

  StatusOr<std::vector<StoreEntry>> scan(std::string_view from, std::string_view to, std::size_t limit,
                                         const Deadline& deadline) override {
    const std::uint64_t arguments = mix(mix(object_, limit), print(from), print(to));
    const PortReturn returned = session_.call(PortCall::kStoreScan, arguments, &deadline, [&] {
      const StatusOr<std::vector<StoreEntry>> found = real_->scan(from, to, limit, deadline);
      PortReturn out{found.status()};
      if (found.ok()) {
        for (const auto& [key, value] : *found) {
          put_text(out.data, key);
          put_text(out.data, value);
        }
      }
      return out;
    });
    RETURN_IF_ERROR(returned.status);
    std::vector<StoreEntry> entries;
    for (std::string_view data = returned.data; !data.empty();) {
      std::string key = take_text(data);
      entries.emplace_back(std::move(key), take_text(data));
    }
    return entries;
  }

 private:
  LogSession& session_;
  std::unique_ptr<StoreSnapshot> real_;
  std::uint64_t object_;
};

class LoggedStore final : public KeyValueStore {
 public:
  LoggedStore(LogSession& session, KeyValueStore* real) : session_(session), real_(real) {}

  StatusOr<std::optional<std::string>> get(std::string_view key, const Deadline& deadline) override {
    const PortReturn returned = session_.call(PortCall::kStoreGet, print(key), &deadline, [&] {
      const StatusOr<std::optional<std::string>> found = real_->get(key, deadline);
      PortReturn out{found.status()};
      if (found.ok() && found->has_value()) {
        put_text(out.data, **found);
      }
      return out;
    });
    RETURN_IF_ERROR(returned.status);
    std::string_view data = returned.data;
    return data.empty() ? std::optional<std::string>() : take_text(data);
  }

  Status commit(StoreBatch batch, bool durable, const Deadline& deadline) override {
    std::uint64_t arguments = durable ? 1 : 0;
    for (const StoreBatch::Change& change : batch.changes) {
      if (change.put.has_value()) {
        arguments = mix(arguments, print(change.put->key), print(change.put->value));
      }
      if (change.erase.has_value()) {
        arguments = mix(arguments, print(change.erase->from), print(change.erase->to));
      }
    }
    return session_
        .call(PortCall::kStoreCommit, arguments, &deadline,
              [&] { return PortReturn{real_->commit(std::move(batch), durable, deadline)}; })
        .status;
  }

  StatusOr<std::unique_ptr<StoreSnapshot>> snapshot(const Deadline& deadline) override {
    std::unique_ptr<StoreSnapshot> real;
    const PortReturn returned = session_.call(PortCall::kStoreSnapshot, 0, &deadline, [&] {
      StatusOr<std::unique_ptr<StoreSnapshot>> taken = real_->snapshot(deadline);
      if (taken.ok()) {
        real = *std::move(taken);
      }
      return PortReturn{taken.status()};
    });
    RETURN_IF_ERROR(returned.status);
    return std::make_unique<LoggedSnapshot>(session_, std::move(real));
  }

 private:
  LogSession& session_;
  KeyValueStore* real_;
};

}  // namespace

std::unique_ptr<KeyValueStore> make_logged_store(LogSession& session, KeyValueStore* real) {
  return std::make_unique<LoggedStore>(session, real);
}

}  // namespace chronik::runtime
