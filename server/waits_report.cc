#include "server/waits_report.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/fiber/wait_report.h"

namespace chronik::server {

namespace {

using Json = nlohmann::ordered_json;
using fiber::FiberWait;

// As text, since its numbers are hashes, which not everybody's numbers hold: "request 17 4 2".
std::string key_text(const WaitKey& key) {
  return fmt::format("{} {} {} {}", wait_kind_name(key.kind), key.a, key.b, key.c);
}

StatusOr<WaitKey> key_of(const std::string& text) {
  for (std::uint16_t kind = 0; kind < kWaitKinds; ++kind) {
    WaitKey key{static_cast<WaitKind>(kind), 0, 0, 0};
    const std::string name = std::string(wait_kind_name(key.kind)) + " ";
    unsigned long long a = 0;  // as sscanf takes them
    unsigned long long b = 0;
    unsigned long long c = 0;
    int end = 0;
    if (text.starts_with(name) &&
        std::sscanf(text.c_str() + name.size(), "%llu %llu %llu%n", &a, &b, &c, &end) == 3 &&  // NOLINT(cert-err34-c)
        name.size() + static_cast<std::size_t>(end) == text.size()) {
      return WaitKey{key.kind, a, b, c};
    }
  }
  return absl::InvalidArgumentError(fmt::format("'{}' is no key of a wait", text));
}

Json keys_json(const std::vector<WaitKey>& keys) {
  Json all = Json::array();
  for (const WaitKey& key : keys) {
    all.push_back(key_text(key));
  }
  return all;
}

StatusOr<std::vector<WaitKey>> keys_of(const Json& json) {
  std::vector<WaitKey> keys;
  for (const Json& key : json) {
    ASSIGN_OR_RETURN(keys.emplace_back(), key_of(key.get<std::string>()));
  }
  return keys;
}

constexpr const char* kExpiries[] = {"normal", "peer", "never"};

Json wait_json(const FiberWait& wait) {
  return {{"path", wait.path},
          {"waiting", wait.waiting},
          {"keys", keys_json(wait.keys)},
          {"detail", wait.detail},
          {"waited_ms", wait.waited.milliseconds()},
          {"left_ms", wait.left == Duration::infinite() ? Json() : Json(wait.left.milliseconds())},
          {"expiry", kExpiries[static_cast<std::size_t>(wait.meaning)]},
          {"missed_a_signal", wait.missed_a_signal},
          {"provides", keys_json(wait.provides)},
          {"scope", wait.scope}};
}

StatusOr<FiberWait> wait_of(const Json& json, const std::string& place) {
  FiberWait wait;
  wait.place = place;
  wait.path = json.at("path").get<std::string>();
  wait.waiting = json.at("waiting").get<bool>();
  ASSIGN_OR_RETURN(wait.keys, keys_of(json.at("keys")));
  if (wait.waiting && wait.keys.empty()) {
    return absl::InvalidArgumentError(wait.path + " waits, and for nothing");
  }
  wait.detail = json.at("detail").get<std::string>();
  wait.waited = Duration::milliseconds(json.at("waited_ms").get<std::int64_t>());
  const Json& left = json.at("left_ms");
  wait.left = left.is_null() ? Duration::infinite() : Duration::milliseconds(left.get<std::int64_t>());
  const std::string expiry = json.at("expiry").get<std::string>();
  const auto* const meaning = std::find(std::begin(kExpiries), std::end(kExpiries), expiry);
  if (meaning == std::end(kExpiries)) {
    return absl::InvalidArgumentError(fmt::format("'{}' is no meaning of an expiry", expiry));
  }
  wait.meaning = static_cast<Expiry>(meaning - std::begin(kExpiries));
  wait.wakes_itself = wait.waiting && wait.meaning == Expiry::kNormal && wait.left != Duration::infinite();
  wait.missed_a_signal = json.at("missed_a_signal").get<bool>();
  ASSIGN_OR_RETURN(wait.provides, keys_of(json.at("provides")));
  wait.scope = json.at("scope").get<std::uint64_t>();
  return wait;
}

StatusOr<NodeWaits> node_waits_of(const Json& json) {
  NodeWaits node{.node = NodeId(json.at("node").get<std::int32_t>()), .waits = {}};
  const std::string place = json.at("place").get<std::string>();
  for (const Json& one : json.at("waits")) {
    ASSIGN_OR_RETURN(node.waits.waits.emplace_back(), wait_of(one, place));
  }
  for (const Json& one : json.at("stacks")) {
    node.waits.stacks.push_back({.place = place,
                                 .path = one.at("path").get<std::string>(),
                                 .frames = one.at("frames").get<std::vector<std::string>>()});
  }
  return node;
}

}  // namespace

std::string waits_text(const runtime::ShardWaits& waits) {
  std::vector<inspect::FiberStack> stacks = waits.stacks;
  std::erase_if(stacks, [&waits](const inspect::FiberStack& stack) {
    return std::any_of(waits.waits.begin(), waits.waits.end(), [&stack](const FiberWait& wait) {
      return wait.idle() && wait.place == stack.place && wait.path == stack.path;
    });
  });
  const std::vector<std::size_t> deadlocked = fiber::find_deadlock(waits.waits);
  return fmt::format("{}\n{}stacks:\n{}", deadlocked.empty() ? "no deadlock" : "DEADLOCK",
                     fiber::describe_waits(waits.waits, deadlocked), inspect::describe_stacks(stacks));
}

std::string waits_json(NodeId node, const runtime::ShardWaits& waits) {
  Json all = Json::array();
  for (const FiberWait& wait : waits.waits) {
    all.push_back(wait_json(wait));
  }
  Json stacks = Json::array();
  for (const inspect::FiberStack& stack : waits.stacks) {
    stacks.push_back({{"path", stack.path}, {"frames", stack.frames}});
  }
  const Json page{{"node", node.value()},
                  {"place", waits.waits.empty() ? "" : waits.waits.front().place},
                  {"deadlocked", !fiber::find_deadlock(waits.waits).empty()},
                  {"waits", std::move(all)},
                  {"stacks", std::move(stacks)}};
  return page.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

StatusOr<NodeWaits> parse_waits_json(const std::string& text) {
  try {
    return node_waits_of(Json::parse(text));
  } catch (const Json::exception& error) {
    return absl::InvalidArgumentError(error.what());
  }
}

runtime::ShardWaits join_waits(std::vector<NodeWaits> nodes) {
  runtime::ShardWaits all;
  for (NodeWaits& node : nodes) {
    for (FiberWait& wait : node.waits.waits) {
      wait.shard = ShardId(node.node.value());
      all.waits.push_back(std::move(wait));
    }
    std::move(node.waits.stacks.begin(), node.waits.stacks.end(), std::back_inserter(all.stacks));
  }
  return all;
}

}  // namespace chronik::server
