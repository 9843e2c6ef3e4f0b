#include "core/raft/identity.h"

#include "core/raft/stored_values.h"

namespace chronik::raft {

namespace {

Uuid random_id(Random& random) {
  const std::uint64_t high = random.next();
  const std::uint64_t low = random.next();
  return Uuid::from_random(high, low);
}

Status check_empty(KeyValueStore& store, const Deadline& deadline) {
  ASSIGN_OR_RETURN(const std::unique_ptr<StoreSnapshot> snapshot, store.snapshot(deadline));
  ASSIGN_OR_RETURN(const std::vector<StoreEntry> any, snapshot->scan("", "\xff", 1, deadline));
  return any.empty() ? ok() : absl::DataLossError("the store has entries but no identity: part of it is missing");
}

}  // namespace

Status store_identity(KeyValueStore& store, const Identity& identity, const Deadline& deadline) {
  StoreBatch batch;
  batch.put(kIdentityKey, encode_identity(identity));
  return store.commit(std::move(batch), /*durable=*/true, deadline);
}

Status mark_older_copy(KeyValueStore& store, std::string_view why, const Deadline& deadline) {
  StoreBatch batch;
  batch.put(std::string(kOlderCopyKey), std::string(why));
  return store.commit(std::move(batch), /*durable=*/true, deadline);
}

StatusOr<Identity> open_identity(KeyValueStore& store, Random& random, const Deadline& deadline) {
  ASSIGN_OR_RETURN(const std::optional<std::string> older, store.get(kOlderCopyKey, deadline));
  if (older.has_value()) {
    return absl::DataLossError(*older);
  }
  ASSIGN_OR_RETURN(const std::optional<std::string> stored, store.get(kIdentityKey, deadline));
  Identity identity;
  if (stored.has_value()) {
    ASSIGN_OR_RETURN(identity, decode_identity(*stored));
  } else {
    RETURN_IF_ERROR(check_empty(store, deadline));
    identity.cluster = random_id(random);
    identity.directory = random_id(random);
  }
  ++identity.start_counter;
  if (!identity.incarnation.is_zero()) {  // else it was written before incarnations were kept
    identity.earlier.push_back(identity.incarnation);
  }
  if (identity.earlier.size() > kEarlierStartsKept) {
    identity.earlier.erase(identity.earlier.begin());
  }
  identity.incarnation = random_id(random);
  RETURN_IF_ERROR(store_identity(store, identity, deadline));
  return identity;
}

}  // namespace chronik::raft
