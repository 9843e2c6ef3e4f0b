#include "server/profiles.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <span>

namespace chronik::server {

namespace {

constexpr std::uint64_t kMegabyte = 1'000'000;

constexpr std::array<WalProfile, 4> kWalProfiles{{
    {"low", "small container", 500, 5 * kMegabyte, Duration::milliseconds(2), 2'500, 250 * kMegabyte},
    {"medium", "balanced", 2'000, 15 * kMegabyte, Duration::milliseconds(10), 10'000, 250 * kMegabyte},
    {"high", "aggressive dedicated", 10'000, 50 * kMegabyte, Duration::milliseconds(50), 50'000, 250 * kMegabyte},
    {"ultra", "maximum throughput", 20'000, 100 * kMegabyte, Duration::milliseconds(100), 100'000, 512 * kMegabyte},
}};

constexpr std::array<ProduceProfile, 4> kProduceProfiles{{
    {"low-latency", "low realtime", 1, Duration::milliseconds(1), 16 * kMegabyte},
    {"balanced", "medium", 10, Duration::milliseconds(10), 32 * kMegabyte},
    {"high-throughput", "high bulk", 100, Duration::milliseconds(50), 128 * kMegabyte},
    {"extreme", "max ultra", 500, Duration::milliseconds(200), 512 * kMegabyte},
}};

bool has_word(std::string_view words, std::string_view word) {
  return !word.empty() && fmt::format(" {} ", words).find(fmt::format(" {} ", word)) != std::string::npos;
}

template <typename Profile>
StatusOr<const Profile*> find_profile(std::span<const Profile> profiles, std::string_view name) {
  std::string known;
  for (const Profile& profile : profiles) {
    if (name == profile.name || has_word(profile.aliases, name)) {
      return &profile;
    }
    known += fmt::format("{}{} ({})", known.empty() ? "" : ", ", profile.name, profile.aliases);
  }
  return absl::InvalidArgumentError("must be one of " + known);
}

}  // namespace

StatusOr<const WalProfile*> find_wal_profile(std::string_view name) {
  return find_profile(std::span<const WalProfile>(kWalProfiles), name);
}

StatusOr<const ProduceProfile*> find_produce_profile(std::string_view name) {
  return find_profile(std::span<const ProduceProfile>(kProduceProfiles), name);
}

wal::WalOptions wal_options(const WalProfile* wal, const ProduceProfile* produce, std::uint64_t rotation_bytes) {
  wal::WalOptions options;
  if (wal != nullptr) {
    options.batch_records_max = wal->batch_records;
    options.batch_bytes_max = wal->batch_bytes;
    options.queue_records_max = wal->queue_records;
    options.queue_bytes_max = std::max(options.queue_bytes_max, 2 * wal->batch_bytes);
    options.rotation_bytes = wal->rotation_bytes;
  }
  if (produce != nullptr) {
    options.linger = wal == nullptr ? produce->linger : std::min(produce->linger, wal->wait_max);
    options.linger_records = produce->batches_min;
    if (produce->batches_min <= 1) {
      options.commit_delay_max = Duration::zero();
    }
    options.queue_bytes_max = produce->buffer_bytes;
  }
  if (rotation_bytes != 0) {
    options.rotation_bytes = rotation_bytes;
  }
  options.record_bytes_max =
      std::min({options.record_bytes_max, options.rotation_bytes / 4, options.queue_bytes_max / 2});
  options.batch_bytes_max = std::min(options.batch_bytes_max, options.rotation_bytes);
  options.control_reserve_bytes = std::min(options.control_reserve_bytes, options.rotation_bytes / 8);
  return options;
}

}  // namespace chronik::server
