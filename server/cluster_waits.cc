#include "server/cluster_waits.h"

#include <fmt/core.h>

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "server/cluster_status.h"
#include "server/http_client.h"
#include "server/waits_report.h"

namespace chronik::server {

namespace {

constexpr int kStuck = 1;
constexpr Duration kPatienceWithNode = Duration::seconds(6);  // a loop that does not answer is given 3 s over there

StatusOr<NodeWaits> ask_for_waits(const AdminPeer& peer, const std::string& api_key) {
  Status why = absl::UnavailableError("it has no admin port");
  for (const HostPort& at : peer.admin) {
    const StatusOr<HttpPage> page = http_get(at, "/admin/debug/waits.json", api_key, kPatienceWithNode);
    if (!page.ok()) {
      why = absl::UnavailableError(fmt::format("{}: {}", at.to_string(), message_of(page.status())));
    } else if (page->status != 200) {
      why = absl::UnavailableError(fmt::format("{}: {}", at.to_string(), page->body));
    } else {
      return parse_waits_json(page->body);
    }
  }
  return why;
}

}  // namespace

int print_cluster_waits(const AdminAccess& access) {
  std::vector<NodeWaits> answered;
  bool all = true;
  for (const NodeReport& node : ask_nodes(access)) {
    StatusOr<NodeWaits> waits = ask_for_waits(node.peer, access.api_key);
    if (waits.ok()) {
      answered.push_back(*std::move(waits));
    } else {
      all = false;
      fmt::print("node {}: {}\n", node.peer.id, message_of(waits.status()));
    }
  }
  const runtime::ShardWaits joined = join_waits(std::move(answered));
  fmt::print("{}", waits_text(joined));
  return all && fiber::find_deadlock(joined.waits).empty() ? 0 : kStuck;
}

}  // namespace chronik::server
