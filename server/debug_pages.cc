#include "server/debug_pages.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "core/fiber/wait.h"
#include "server/snapshot.h"
#include "server/waits_report.h"

namespace chronik::server {

namespace {

constexpr Duration kPatienceForWaits = Duration::seconds(2);
constexpr Duration kPatienceForThread = Duration::seconds(1);
constexpr std::int64_t kStallMsMost = 600'000;

HttpPage stall_page(int status, const char* key, const std::string& text) {
  return {.status = status,
          .content_type = "application/json",
          .body = nlohmann::ordered_json({{key, text}}).dump() + "\n"};
}

}  // namespace

void DebugPages::be_asked_here() {
  const std::lock_guard lock(mutex_);
  thread_.emplace();
}

HttpPage DebugPages::waits() {
  return page("text/plain; charset=utf-8",
              [](NodeId /*node*/, const runtime::ShardWaits& found) { return waits_text(found); });
}

HttpPage DebugPages::waits_json() {
  return page("application/json",
              [](NodeId node, const runtime::ShardWaits& found) { return server::waits_json(node, found); });
}

HttpPage DebugPages::page(const char* content_type, Render render) {
  const std::optional<HttpPage> answered = order_shard(
      mailboxes_, id_,
      [this, content_type, render]() -> HttpPage {
        const std::string place = fmt::format("node-{}.{}", node_.value(), id_.value());
        const StatusOr<runtime::ShardWaits> found =
            runtime::collect_shard_waits(shard_.loop(), place, fiber::within(kPatienceForWaits, Expiry::kPeer));
        return found.ok() ? HttpPage{.content_type = content_type, .body = render(node_, *found)}
                          : HttpPage{.status = 503, .body = "the node ends\n"};
      },
      kPatienceForWaits);
  return answered.has_value() ? *answered : HttpPage{.status = 503, .body = where_the_thread_is()};
}

std::string DebugPages::where_the_thread_is() {
  const std::lock_guard lock(mutex_);
  std::string text = fmt::format("the loop has not answered within {} s. {}\n",
                                 static_cast<std::int64_t>(kPatienceForWaits.seconds()), shard_.watchdog().what_runs());
  const std::vector<std::string> frames =
      thread_.has_value() ? thread_->stack(kPatienceForThread) : std::vector<std::string>{};
  if (frames.empty()) {
    return text + "its thread does not answer either: it is stuck in the kernel, or has yet to begin\n";
  }
  text += "its thread is in\n";
  for (const std::string& frame : frames) {
    text += fmt::format("      {}\n", frame);
  }
  return text;
}

HttpPage DebugPages::stall_disk(runtime::StallingCalls& calls, const std::string& body) {
  const auto json = nlohmann::json::parse(body, nullptr, /*allow_exceptions=*/false);
  const auto stall = json.is_object() ? json.find("stall_ms") : json.end();
  if (!json.is_object() || json.size() != 1 || stall == json.end() || !stall->is_number_integer() ||
      stall->get<std::int64_t>() < 0 || stall->get<std::int64_t>() > kStallMsMost) {
    return stall_page(400, "error",
                      fmt::format("the body must be {{\"stall_ms\": N}} with N from 0 to {}", kStallMsMost));
  }
  const std::int64_t ms = stall->get<std::int64_t>();
  calls.stall_for(Duration::milliseconds(ms));
  return stall_page(200, "message", ms == 0 ? "the disk goes on" : fmt::format("the disk stalls for {} ms", ms));
}

}  // namespace chronik::server
