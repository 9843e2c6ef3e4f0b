#include "sim/scenarios/node_kill_history.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "core/base/endian.h"
#include "core/base/mix.h"
#include "sim/world.h"

namespace chronik::sim {

std::string NodeKillHistory::bytes_of(std::uint64_t value, std::size_t size) {
  std::string bytes(std::max<std::size_t>(size, 8), '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<char>(i < 8 ? value >> (56 - 8 * i) : mix(value, i));
  }
  return bytes;
}

void NodeKillHistory::send(std::uint64_t value, std::size_t size, std::size_t partition,
                           const ProducerSessionId& session) {
  const bool fresh = sent_
                         .emplace(value, Sent{.size = size,
                                              .partition = partition,
                                              .session = session,
                                              .order = sent_.size(),
                                              .behind = acknowledged_[partition] - 1})
                         .second;
  CHECK(fresh);
}

void NodeKillHistory::acknowledge(std::uint64_t value, std::int64_t offset) {
  Sent& sent = sent_.at(value);
  CHECK_EQ(sent.acknowledged, std::int64_t{-1});
  sent.acknowledged = offset;
  acknowledged_[sent.partition] = std::max(acknowledged_[sent.partition], offset + 1);
  ++acknowledged_count_;
}

bool NodeKillHistory::see(std::size_t partition, std::int64_t offset, ByteSpan bytes) {
  const std::uint64_t value = bytes.size() < 8 ? 0 : load_big<std::uint64_t>(bytes.data());
  const auto found = sent_.find(value);
  if (found == sent_.end() || found->second.partition != partition ||
      as_text(bytes) != bytes_of(value, found->second.size)) {
    world_.fail("ACK-DURABLE", fmt::format("partition {} offset {} holds {} bytes that nobody sent there (value {:x})",
                                           partition, offset, bytes.size(), value));
    return false;
  }
  std::vector<std::uint64_t>& seen = seen_[partition];
  const auto at = static_cast<std::size_t>(offset);
  CHECK_LE(at, seen.size());  // the reader reads without gaps from 0
  if (at < seen.size() && seen[at] != value) {
    world_.fail("OFFSET-UNIQUE", fmt::format("partition {} offset {}: value {:x} was read there before, now {:x}",
                                             partition, offset, seen[at], value));
    return false;
  }
  if (at == seen.size()) {
    seen.push_back(value);
    if (found->second.found >= 0) {
      world_.fail("OFFSET-UNIQUE", fmt::format("partition {}: value {:x}, sent once, is at offset {} and at {}",
                                               partition, value, found->second.found, offset));
      return false;
    }
    found->second.found = offset;
  }
  return true;
}

void NodeKillHistory::end_at(std::size_t partition, std::int64_t offset) {
  if (static_cast<std::size_t>(offset) < seen_[partition].size()) {
    world_.fail("ACK-DURABLE", fmt::format("partition {} ends at {}; offset {} was read before", partition, offset,
                                           seen_[partition].size() - 1));
  }
}

bool NodeKillHistory::judge_value(std::uint64_t value, const Sent& sent) {
  if (sent.acknowledged >= 0 && sent.found != sent.acknowledged) {
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

void NodeKillHistory::judge_order(std::size_t partition) {
  absl::btree_map<std::pair<std::uint64_t, std::uint64_t>, std::uint64_t> last;  // order, by session
  for (const std::uint64_t value : seen_[partition]) {
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

void NodeKillHistory::judge() {
  for (const auto& [value, sent] : sent_) {
    if (!judge_value(value, sent)) {
      return;
    }
  }
  for (std::size_t partition = 0; partition < seen_.size(); ++partition) {
    judge_order(partition);
  }
}

}  // namespace chronik::sim
