#include "sim/scenarios/ledger.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/base/endian.h"
#include "core/base/mix.h"
#include "sim/story.h"
#include "sim/world.h"

namespace chronik::sim {

std::string Ledger::bytes_of(std::uint64_t value, std::size_t size) {
  std::string bytes(std::max<std::size_t>(size, 8), '\0');
  store_big(reinterpret_cast<std::uint8_t*>(bytes.data()), value);
  for (std::size_t at = 8; at < bytes.size(); at += 8) {
    const std::uint64_t word = mix(value, at);
    std::memcpy(bytes.data() + at, &word, std::min<std::size_t>(8, bytes.size() - at));
  }
  return bytes;
}

// `offset`: where it is, or -1; then a finding may speak of it by its place alone.
template <typename Say>
void Ledger::tell(std::uint64_t value, std::int64_t offset, Say say) {
  if (Story* story = world_.story(); story != nullptr) [[unlikely]] {
    StoryEvent& event = story->tell(StoryKind::kOperation, say());
    event.about = fmt::format("value {:x}", value);
    event.mark = bytes_of(value, std::min<std::size_t>(sent_.at(value).size, 16));
    if (offset >= 0) {
      event.about += fmt::format("|partition {}&offset {}", sent_.at(value).partition, offset);
    }
  }
}

void Ledger::send(std::uint64_t value, std::size_t size, std::size_t partition, const ProducerSessionId& session,
                  std::uint64_t era, const ProducedAs& as) {
  const bool fresh = sent_
                         .emplace(value, Sent{.size = size,
                                              .partition = partition,
                                              .session = session,
                                              .era = era,
                                              .order = sent_.size(),
                                              .behind = acknowledged_[partition] - 1,
                                              .as = as})
                         .second;
  CHECK(fresh);
  tell(value, -1, [&] { return fmt::format("sends value {:x}, {} bytes, to partition {}", value, size, partition); });
}

void Ledger::acknowledge(std::uint64_t value, std::int64_t offset) {
  Sent& sent = sent_.at(value);
  tell(value, offset, [&] {
    return fmt::format("has value {:x} acknowledged at offset {} of partition {}", value, offset, sent.partition);
  });
  if (sent.as.idempotent() && sent.acknowledged >= 0) {
    if (sent.acknowledged != offset) {
      world_.fail("IDEMPOTENT", fmt::format("value {:x} of partition {} was acknowledged at offset {}, and its retry "
                                            "at {}",
                                            value, sent.partition, sent.acknowledged, offset));
    }
    return;
  }
  CHECK_EQ(sent.acknowledged, std::int64_t{-1});
  sent.acknowledged = offset;
  if (!sent.as.idempotent()) {  // of others judge_value() tells what is wrong
    const auto [other, first] = acknowledged_values_[sent.partition].emplace(offset, value);
    if (!first) {
      world_.fail("ACK-DURABLE", fmt::format("partition {} offset {}: value {:x} was acknowledged there, and now {:x}",
                                             sent.partition, offset, other->second, value));
    }
  }
  acknowledged_[sent.partition] = std::max(acknowledged_[sent.partition], offset + 1);
  settled_era_ = std::max(settled_era_, sent.era);
  ++acknowledged_count_;
}

void Ledger::refuse_value(std::uint64_t value) {
  sent_.at(value).refused = true;
  tell(value, -1, [&] { return fmt::format("has value {:x} refused", value); });
}

bool Ledger::see(std::size_t partition, std::int64_t offset, ByteSpan bytes, const ProducedAs& as) {
  const std::uint64_t value = bytes.size() < 8 ? 0 : load_big<std::uint64_t>(bytes.data());
  const auto found = sent_.find(value);
  if (found == sent_.end() || found->second.partition != partition ||
      as_text(bytes) != bytes_of(value, found->second.size)) {
    world_.fail("ACK-DURABLE", fmt::format("partition {} offset {} holds {} bytes that nobody sent there (value {:x})",
                                           partition, offset, bytes.size(), value));
    return false;
  }
  if (found->second.refused) {
    world_.fail("REFUSED", fmt::format("partition {} offset {}: value {:x} is there, and its producer was told that it "
                                       "was not taken",
                                       partition, offset, value));
    return false;
  }
  if (found->second.as != as) {
    const ProducedAs& sent = found->second.as;
    world_.fail(
        "IDEMPOTENT",
        fmt::format("partition {} offset {}: value {:x} was sent by producer {} in epoch {} as {}, and is "
                    "stored as producer {}'s in epoch {} as {}",
                    partition, offset, value, sent.id, sent.epoch, sent.sequence, as.id, as.epoch, as.sequence));
    return false;
  }
  return place(partition, offset, value, found->second);
}

bool Ledger::place(std::size_t partition, std::int64_t offset, std::uint64_t value, Sent& sent) {
  std::vector<std::uint64_t>& seen = seen_[partition];
  const auto at = static_cast<std::size_t>(offset);
  while (seen.size() < at) {
    const auto missing = static_cast<std::int64_t>(seen.size());
    CHECK(missing < log_start_[partition] || refused_[partition].contains(missing));
    seen.push_back(0);
  }
  if (at < seen.size() && seen[at] != 0 && seen[at] != value) {
    world_.fail("OFFSET-UNIQUE", fmt::format("partition {} offset {}: value {:x} was read there before, now {:x}",
                                             partition, offset, seen[at], value));
    return false;
  }
  const auto acknowledged = acknowledged_values_[partition].find(offset);
  if (acknowledged != acknowledged_values_[partition].end() && acknowledged->second != value) {
    world_.fail("ACK-DURABLE",
                fmt::format("partition {} offset {}: value {:x} was acknowledged there, and {:x} is read", partition,
                            offset, acknowledged->second, value));
    return false;
  }
  if (at == seen.size() || seen[at] == 0) {
    seen.resize(std::max(seen.size(), at + 1));
    seen[at] = value;
    if (sent.found >= 0) {
      world_.fail(sent.as.idempotent() ? "IDEMPOTENT" : "OFFSET-UNIQUE",
                  fmt::format("partition {}: value {:x}, {}, is at offset {} and at {}", partition, value,
                              sent.as.idempotent() ? "of an idempotent producer" : "sent once", sent.found, offset));
      return false;
    }
    sent.found = offset;
    tell(value, offset,
         [&] { return fmt::format("reads value {:x} at offset {} of partition {}", value, offset, partition); });
  }
  return true;
}

void Ledger::refuse(std::size_t partition, std::int64_t offset) { refused_[partition].insert(offset); }

bool Ledger::begin_at(std::size_t partition, std::int64_t offset, std::int64_t known, bool retained) {
  if (offset < known) {
    world_.fail("LOG-START",
                fmt::format("partition {} begins at {}, and began at {} before", partition, offset, known));
    return false;
  }
  if (offset > asked_start_[partition] && !retained) {
    world_.fail("LOG-START", fmt::format("partition {} begins at {}, and nobody asked for more to be deleted than "
                                         "what is below {}",
                                         partition, offset, asked_start_[partition]));
    return false;
  }
  log_start_[partition] = std::max(log_start_[partition], offset);
  return true;
}

bool Ledger::read_at(std::size_t partition, std::int64_t offset, std::int64_t known) {
  if (offset < known) {
    world_.fail("LOG-START", fmt::format("partition {}: offset {} is read, and the log began at {} before", partition,
                                         offset, known));
  }
  return offset >= known;
}

std::int64_t Ledger::known_end(std::size_t partition) const {
  return std::max(
      {acknowledged_[partition], static_cast<std::int64_t>(seen_[partition].size()), watermarks_[partition]});
}

void Ledger::end_at(std::size_t partition, std::int64_t offset, std::int64_t known) {
  if (offset < known) {
    world_.fail("ACK-DURABLE", fmt::format("partition {} ends at {}; offset {} was acknowledged or read before it was "
                                           "asked for its end",
                                           partition, offset, known - 1));
  }
}

bool Ledger::judge_value(std::uint64_t value, const Sent& sent) {
  if (sent.as.idempotent() && sent.acknowledged >= 0 && sent.found >= 0 && sent.found != sent.acknowledged) {
    world_.fail("IDEMPOTENT", fmt::format("value {:x} of partition {} was acknowledged at offset {}, and is at {}",
                                          value, sent.partition, sent.acknowledged, sent.found));
    return false;
  }
  if (sent.acknowledged >= log_start_[sent.partition] && sent.found != sent.acknowledged &&
      (sent.found >= 0 || !refused_[sent.partition].contains(sent.acknowledged))) {
    world_.fail("ACK-DURABLE",
                fmt::format("value {:x} of partition {} was acknowledged at offset {} and is {}", value, sent.partition,
                            sent.acknowledged, sent.found < 0 ? "not there" : fmt::format("at {}", sent.found)));
    return false;
  }
  if (sent.found >= 0 && sent.found <= sent.behind) {
    world_.fail("ORDER", fmt::format("value {:x} of partition {} is at offset {}, and was sent after {} had been "
                                     "acknowledged",
                                     value, sent.partition, sent.found, sent.behind));
    return false;
  }
  return true;
}

void Ledger::judge_order(std::size_t partition) {
  absl::btree_map<std::pair<std::uint64_t, std::uint64_t>, std::uint64_t> last;  // order, by session
  for (const std::uint64_t value : seen_[partition]) {
    if (value == 0) {
      continue;
    }
    const Sent& sent = sent_.at(value);
    const auto [at, first] = last.emplace(std::pair(sent.session.client, sent.session.number), sent.order);
    if (!first && sent.order < at->second) {
      world_.fail("ORDER",
                  fmt::format("value {:x} of partition {} is at offset {}, behind one that its connection sent "
                              "later",
                              value, partition, sent.found));
      return;
    }
    at->second = sent.order;
  }
}

// The records of a producer in one epoch, from its first on: one sequence number behind the other.
void Ledger::judge_sequences(std::size_t partition) {
  struct Last {
    std::int64_t offset = -1;
    std::int32_t sequence = -1;
  };
  absl::btree_map<std::pair<std::int64_t, std::int32_t>, Last> producers;  // by id and epoch
  std::int64_t unread = -1;                                                // the latest offset that nobody has read
  for (std::size_t at = 0; at < seen_[partition].size(); ++at) {
    const auto offset = static_cast<std::int64_t>(at);
    const std::uint64_t value = seen_[partition][at];
    if (value == 0) {
      unread = offset;
      continue;
    }
    const ProducedAs& as = sent_.at(value).as;
    if (!as.idempotent()) {
      continue;
    }
    Last& last = producers[{as.id, as.epoch}];
    if (unread <= last.offset && as.sequence != last.sequence + 1) {
      world_.fail("IDEMPOTENT", fmt::format("partition {} offset {}: sequence number {} of producer {} in epoch {} "
                                            "follows {}",
                                            partition, offset, as.sequence, as.id, as.epoch, last.sequence));
      return;
    }
    last = {offset, as.sequence};
  }
}

void Ledger::judge() {
  for (const auto& [value, sent] : sent_) {
    if (!judge_value(value, sent)) {
      return;
    }
  }
  for (std::size_t partition = 0; partition < seen_.size(); ++partition) {
    judge_sequences(partition);
    judge_order(partition);
  }
}

}  // namespace chronik::sim
