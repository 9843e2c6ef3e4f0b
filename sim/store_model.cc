#include "sim/store_model.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/base/mix.h"

namespace chronik::sim {

const StoreModel::Version* StoreModel::find(const Versions& versions, BatchNumber at) {
  for (auto version = versions.rbegin(); version != versions.rend(); ++version) {
    if (version->batch <= at) {
      return &*version;
    }
  }
  return nullptr;
}

// Somebody may look at the store as of a batch in [from, to).
bool StoreModel::in_use(BatchNumber from, BatchNumber to) const {
  // The durable end moves on through every batch up to the head, and a loss of power may choose any of these.
  if (to > durable_) {
    return true;
  }
  const auto held = held_.lower_bound(from);
  return held != held_.end() && held->first < to;
}

void StoreModel::prune(Versions& versions) const {
  for (std::size_t i = 0; i + 1 < versions.size();) {
    if (in_use(versions[i].batch, versions[i + 1].batch)) {
      ++i;
    } else {
      versions.erase(versions.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
  if (!versions.empty() && !versions.front().value && versions.front().batch <= durable_) {
    const BatchNumber next = versions.size() > 1 ? versions[1].batch : head_ + 1;
    if (versions.size() == 1 || !in_use(versions.front().batch, next)) {
      versions.erase(versions.begin());  // erased for everybody
    }
  }
}

void StoreModel::set(const std::string& key, std::optional<std::string> value) {
  Versions& versions = entries_[key];
  if (!versions.empty() && versions.back().batch == head_) {
    versions.back().value = std::move(value);
  } else {
    versions.push_back({head_, std::move(value)});
  }
  prune(versions);
  if (versions.empty()) {
    entries_.erase(key);
  }
}

BatchNumber StoreModel::commit(const StoreBatch& batch) {
  ++head_;
  for (const StoreBatch::Change& change : batch.changes) {
    if (change.put) {
      set(change.put->key, change.put->value);
    } else if (change.erase && change.erase->from < change.erase->to) {
      std::vector<std::string> erased;
      for (auto entry = entries_.lower_bound(change.erase->from);
           entry != entries_.end() && entry->first < change.erase->to; ++entry) {
        if (entry->second.back().value) {
          erased.push_back(entry->first);
        }
      }
      for (const std::string& key : erased) {
        set(key, std::nullopt);
      }
    }
  }
  return head_;
}

void StoreModel::make_durable(BatchNumber upto) {
  CHECK_LE(upto, head_);
  durable_ = std::max(durable_, upto);
}

std::optional<std::string> StoreModel::get(std::string_view key, BatchNumber at) const {
  const auto entry = entries_.find(key);
  const Version* version = entry == entries_.end() ? nullptr : find(entry->second, at);
  return version == nullptr ? std::nullopt : version->value;
}

std::vector<StoreEntry> StoreModel::scan(std::string_view from, std::string_view to, std::size_t limit,
                                         BatchNumber at) const {
  std::vector<StoreEntry> found;
  for (auto entry = entries_.lower_bound(from); entry != entries_.end() && entry->first < to && found.size() < limit;
       ++entry) {
    const Version* version = find(entry->second, at);
    if (version != nullptr && version->value) {
      found.emplace_back(entry->first, *version->value);
    }
  }
  return found;
}

void StoreModel::release(BatchNumber at) {
  const auto held = held_.find(at);
  if (held != held_.end() && --held->second == 0) {  // none: the process that held it has died
    held_.erase(held);
  }
}

void StoreModel::process_kill() { held_.clear(); }

void StoreModel::power_loss(Draws draws) {
  held_.clear();
  const std::uint64_t kind = draws.below(4);
  const BatchNumber between = durable_ + draws.below(head_ - durable_ + 1);
  const BatchNumber last = kind == 0 ? head_ : kind == 1 ? durable_ : between;
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    Versions& versions = entry->second;
    while (!versions.empty() && versions.back().batch > last) {
      versions.pop_back();
    }
    // What is left is one truth; only its last version counts.
    if (versions.empty() || !versions.back().value) {
      entry = entries_.erase(entry);
      continue;
    }
    versions.erase(versions.begin(), versions.end() - 1);
    ++entry;
  }
  head_ = durable_ = last;
}

std::uint64_t StoreModel::fingerprint() const {
  std::uint64_t print = mix(head_, durable_);
  for (const auto& [key, versions] : entries_) {
    for (const Version& version : versions) {
      print = mix(print, mix_text(key), version.batch);
      print = mix(print, version.value ? mix_text(*version.value) : 0);
    }
  }
  return print;
}

std::size_t StoreModel::versions() const {
  std::size_t count = 0;
  for (const auto& [key, versions] : entries_) {
    count += versions.size();
  }
  return count;
}

}  // namespace chronik::sim
