#include "server/cluster_settings.h"

#include <absl/strings/str_split.h>
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <set>

#include "core/base/check.h"

namespace chronik::server {

namespace {

constexpr std::string_view kPeersKey = "peers.";
constexpr std::array<std::string_view, 5> kPeerFields{"id", "kafka", "wal", "raft", "admin"};
constexpr std::int32_t kAdminPort = 10000;  // and the node's number

Status wrong(std::string_view name, std::string_view value, std::string_view right) {
  return absl::InvalidArgumentError(fmt::format("{}: '{}': {}", name, value, right));
}

StatusOr<HostPort> parse_address(std::string_view text) {
  ASSIGN_OR_RETURN(const HostPort parsed, parse_host_port(text));
  if (!parsed.port.has_value() || *parsed.port == 0) {
    return absl::InvalidArgumentError("must be HOST:PORT");
  }
  return parsed;
}

// "peers.12.raft" as its place and field; empty field: it is no such key.
struct PeerKey {
  std::int64_t place = 0;
  std::string_view field;
};
PeerKey peer_key(std::string_view key) {
  if (!key.starts_with(kPeersKey)) {
    return {};
  }
  const std::string_view rest = key.substr(kPeersKey.size());
  const std::size_t dot = rest.find('.');
  if (dot == std::string_view::npos) {
    return {};
  }
  const StatusOr<std::int64_t> place = parse_whole_number(rest.substr(0, dot), 0, std::numeric_limits<int>::max());
  const std::string_view field = rest.substr(dot + 1);
  const bool known = std::find(kPeerFields.begin(), kPeerFields.end(), field) != kPeerFields.end();
  return place.ok() && known ? PeerKey{*place, field} : PeerKey{};
}

}  // namespace

const ClusterPeer& ClusterSettings::self(NodeId node) const {
  const auto found =
      std::find_if(peers.begin(), peers.end(), [node](const ClusterPeer& peer) { return peer.id == node; });
  CHECK(found != peers.end());
  return *found;
}

bool is_peer_key(std::string_view key) { return !peer_key(key).field.empty(); }

StatusOr<std::vector<ClusterPeer>> parse_peers(std::string_view text, std::string_view name) {
  std::vector<ClusterPeer> peers;
  for (const absl::string_view one : absl::StrSplit(absl::string_view(text.data(), text.size()), ',')) {
    const std::string_view peer(one.data(), one.size());
    // The host may be an IPv6 address: its ports are the last three.
    std::vector<std::string> ports;
    std::string_view host = peer;
    for (int i = 0; i < 3; ++i) {
      const std::size_t colon = host.rfind(':');
      if (colon == std::string_view::npos) {
        return wrong(name, peer, "must be HOST:KAFKA:WAL:RAFT, a host and three ports, for each node");
      }
      ports.insert(ports.begin(), std::string(host.substr(colon + 1)));
      host = host.substr(0, colon);
    }
    ClusterPeer& added = peers.emplace_back();
    added.id = NodeId(static_cast<std::int32_t>(peers.size()));
    added.where = std::string(name);
    const bool bare = host.find(':') != std::string_view::npos && !host.starts_with('[');
    HostPort* const addresses[] = {&added.kafka, &added.wal, &added.raft};
    for (std::size_t i = 0; i < ports.size(); ++i) {
      const StatusOr<HostPort> address =
          parse_address(bare ? fmt::format("[{}]:{}", host, ports[i]) : fmt::format("{}:{}", host, ports[i]));
      if (!address.ok()) {
        return wrong(name, peer, "must be HOST:KAFKA:WAL:RAFT, a host and three ports, for each node");
      }
      *addresses[i] = *address;
    }
    added.admin = {.host = added.kafka.host, .port = default_admin_port(added.id)};
  }
  return peers;
}

StatusOr<std::vector<ClusterPeer>> peers_of_file(std::span<const FileValue> file) {
  std::map<std::int64_t, std::map<std::string, const FileValue*, std::less<>>> told;
  for (const FileValue& value : file) {
    if (const PeerKey key = peer_key(value.key); !key.field.empty()) {
      told[key.place].emplace(key.field, &value);
    }
  }
  std::vector<ClusterPeer> peers;
  for (const auto& [place, fields] : told) {
    ClusterPeer& peer = peers.emplace_back();
    peer.where = fields.begin()->second->where;
    const auto id = fields.find("id");
    if (id == fields.end()) {
      return absl::InvalidArgumentError(fmt::format("{}: [[peers]] without id: each peer needs one", peer.where));
    }
    const StatusOr<std::int64_t> number =
        parse_whole_number(id->second->text, 0, std::numeric_limits<std::int32_t>::max());
    if (!number.ok()) {
      return wrong(fmt::format("{}: id", id->second->where), id->second->text, message_of(number.status()));
    }
    peer.id = NodeId(static_cast<std::int32_t>(*number));
    struct Field {
      std::string_view name;
      HostPort& into;
      bool needed;
    };
    for (const Field& field : {Field{"kafka", peer.kafka, true}, Field{"wal", peer.wal, false},
                               Field{"raft", peer.raft, true}, Field{"admin", peer.admin, false}}) {
      const auto found = fields.find(field.name);
      if (found == fields.end() && field.needed) {
        return absl::InvalidArgumentError(
            fmt::format("{}: peer {}: {} is missing: it must be HOST:PORT", peer.where, peer.id, field.name));
      }
      if (found == fields.end()) {
        continue;
      }
      const StatusOr<HostPort> address = parse_address(found->second->text);
      if (!address.ok()) {
        return wrong(fmt::format("{}: {}", found->second->where, field.name), found->second->text,
                     message_of(address.status()));
      }
      field.into = *address;
    }
    if (peer.wal.host.empty()) {
      peer.wal = peer.raft;
    }
    peer.admin_is_told = !peer.admin.host.empty();
    if (!peer.admin_is_told) {
      peer.admin = {.host = peer.kafka.host, .port = default_admin_port(peer.id)};
    }
  }
  return peers;
}

Status check_peers(const std::vector<ClusterPeer>& peers) {
  std::set<NodeId> ids;
  std::map<std::string, NodeId> addresses;
  for (const ClusterPeer& peer : peers) {
    if (!ids.insert(peer.id).second) {
      return absl::InvalidArgumentError(
          fmt::format("{}: peer {} is there twice: each id must be there once", peer.where, peer.id));
    }
    std::set<std::string> own{peer.kafka.to_string(), peer.raft.to_string()};
    if (own.size() < 2) {
      return absl::InvalidArgumentError(fmt::format("{}: peer {}: kafka and raft must be two addresses, and are {}",
                                                    peer.where, peer.id, *own.begin()));
    }
    own.insert(peer.wal.to_string());
    for (const std::string& address : own) {
      if (const auto [other, fresh] = addresses.emplace(address, peer.id); !fresh) {
        return absl::InvalidArgumentError(fmt::format("{}: {} is an address of peers {} and {}: each must have its own",
                                                      peer.where, address, other->second, peer.id));
      }
    }
  }
  return ok();
}

Status check_peers(const std::vector<ClusterPeer>& peers, NodeId self) {
  if (std::none_of(peers.begin(), peers.end(), [self](const ClusterPeer& peer) { return peer.id == self; })) {
    return absl::InvalidArgumentError(fmt::format("node_id: '{}': must be the id of one of the peers", self));
  }
  return check_peers(peers);
}

std::uint16_t default_admin_port(NodeId node) {
  constexpr std::int32_t kPortMax = std::numeric_limits<std::uint16_t>::max();
  return static_cast<std::uint16_t>(node.value() <= kPortMax - kAdminPort ? kAdminPort + node.value() : 0);
}

}  // namespace chronik::server
