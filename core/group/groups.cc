#include "core/group/groups.h"

#include <utility>

#include "core/base/check.h"

namespace chronik::group {

namespace {

// The UTF-16 code units of well-formed UTF-8; each byte of anything else stands for itself.
template <typename Visit>
void for_each_code_unit(std::string_view text, Visit visit) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<std::uint8_t>(text[i]);
    const std::size_t length = lead < 0x80 ? 1U : lead >= 0xf0 ? 4U : lead >= 0xe0 ? 3U : lead >= 0xc0 ? 2U : 1U;
    if (length == 1 || i + length > text.size()) {
      visit(std::uint32_t{lead});
      ++i;
      continue;
    }
    std::uint32_t point = lead & (0xffU >> (length + 1));
    for (std::size_t k = 1; k < length; ++k) {
      point = point << 6U | (static_cast<std::uint8_t>(text[i + k]) & 0x3fU);
    }
    if (point >= 0x10000) {
      visit(0xd800U + ((point - 0x10000U) >> 10U));
      visit(0xdc00U + ((point - 0x10000U) & 0x3ffU));
    } else {
      visit(point);
    }
    i += length;
  }
}

}  // namespace

PartitionId partition_of(std::string_view group, std::int32_t partitions) {
  CHECK_GT(partitions, 0);
  std::uint32_t hash = 0;
  for_each_code_unit(group, [&hash](std::uint32_t unit) { hash = hash * 31U + unit; });
  // Kafka's absolute value, in which the smallest number is 0.
  const std::uint32_t magnitude = hash == 0x80000000U ? 0U : (hash & 0x80000000U) != 0 ? 0U - hash : hash;
  return PartitionId(static_cast<std::int32_t>(magnitude) % partitions);
}

void Groups::follow(PartitionId index, const Ref<replication::Partition>& partition) {
  const auto found = led_.find(index);
  const bool leads = partition != nullptr && partition->leading();
  if (found != led_.end() && (!leads || !found->second->runs_on(partition))) {
    found->second->resign();
    led_.erase(found);
  }
  if (leads && !led_.contains(index)) {
    lead(index, partition);
  }
}

void Groups::lead(PartitionId index, const Ref<replication::Partition>& partition) {
  auto led = Ref<GroupPartition>::make(partition, logs_, clock_, options_, topic_is_gone_, metrics_);
  led_.emplace(index, led);
  scope_.spawn({"group-log", static_cast<std::uint32_t>(index.value())}, [this, index, partition, led] {
    led->run();
    // It gave up what it does not know the outcome of, and nobody leads in its place: another begins from the log.
    if (find(index) == led && led->still_led()) {
      led_.erase(index);
      lead(index, partition);
    }
  });
  scope_.spawn({"group-timers", static_cast<std::uint32_t>(index.value())}, [led] { led->run_timers(); });
}

void Groups::forget_topic(const std::string& topic) {
  for (const auto& [index, led] : led_) {
    led->forget_topic(topic);
  }
}

void Groups::stop() {
  const auto led_here = std::exchange(led_, {});
  for (const auto& [index, led] : led_here) {
    led->resign();
  }
  scope_.cancel_and_join();
}

Ref<GroupPartition> Groups::find(PartitionId index) const {
  const auto found = led_.find(index);
  return found == led_.end() ? Ref<GroupPartition>() : found->second;
}

std::vector<Ref<GroupPartition>> Groups::all() const {
  std::vector<Ref<GroupPartition>> all;
  for (const auto& [index, led] : led_) {
    all.push_back(led);
  }
  return all;
}

}  // namespace chronik::group
