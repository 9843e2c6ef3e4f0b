#include "server/banner.h"

#include <fmt/core.h>

#include <array>

#include "server/version.h"

namespace chronik::server {

namespace {

std::string durability(const Settings& settings) {
  const wal::WalOptions& wal = settings.node.logs.wal;
  std::string text = "synced to disk before every acknowledgement";
  if (wal.linger > Duration::zero()) {
    text += fmt::format(", after waiting up to {} ms or for {} batches", wal.linger.milliseconds(), wal.linger_records);
  }
  if (settings.wal_profile != nullptr) {
    text += fmt::format(" (WAL profile {})", settings.wal_profile->name);
  }
  return text;
}

}  // namespace

std::string readable_bytes(std::uint64_t bytes) {
  static constexpr std::array<const char*, 4> kUnits{"kB", "MB", "GB", "TB"};
  if (bytes < 1000) {
    return fmt::format("{} bytes", bytes);
  }
  double scaled = static_cast<double>(bytes) / 1000;
  std::size_t unit = 0;
  for (; scaled >= 1000 && unit + 1 < kUnits.size(); ++unit) {
    scaled /= 1000;
  }
  return fmt::format("{:.1f} {}", scaled, kUnits[unit]);
}

std::string banner(const BannerFacts& facts) {
  const Settings& settings = facts.settings;
  std::string text = fmt::format("Chronik {}, node {}, ready in {:.2f} s\n", version(), settings.node.node.value(),
                                 facts.took.seconds());
  text +=
      fmt::format("  data        {}: {} logs, {} recovered in {:.2f} s\n", settings.data_directory, facts.recovery.logs,
                  readable_bytes(facts.recovery.bytes_replayed), facts.recovery.took.seconds());
  text += fmt::format("  kafka       {}{}\n", facts.listening,
                      facts.advertised == facts.listening ? "" : ", clients are told " + facts.advertised);
  text += fmt::format("  http        {}\n",
                      facts.http.empty() ? "off" : fmt::format("http://{}/metrics /health /ready", facts.http));
  if (!facts.admin.empty()) {
    text += fmt::format("  admin       http://{}/admin/status{}\n", facts.admin,
                        settings.admin_api_key.empty() ? "" : ", for whoever has the key");
  }
  if (settings.cluster.has_value()) {
    text += fmt::format("  cluster     {} nodes, raft {}, {} replicas of which {} must be in sync\n",
                        settings.cluster->peers.size(), settings.raft_bind.to_string(),
                        settings.cluster->replication_factor, settings.cluster->min_insync_replicas);
  }
  text += fmt::format("  durability  {}\n", durability(settings));
  return text;
}

}  // namespace chronik::server
