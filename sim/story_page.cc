#include "sim/story_page.h"

#include <absl/container/btree_map.h>
#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "core/fiber/wait_report.h"

namespace chronik::sim {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kDetailMost = 6'000;

const char* end_name(StoryEnd end) {
  static constexpr const char* kNames[] = {"instant", "open", "done", "failed", "lost"};
  return kNames[static_cast<std::size_t>(end)];
}

Json event_json(const StoryEvent& event, const absl::btree_map<StoryId, std::size_t>& numbers) {
  Json json = {
      {"k", story_kind_name(event.kind)}, {"t", event.at.nanoseconds()}, {"m", event.machine}, {"x", event.text}};
  if (event.end != StoryEnd::kInstant) {
    json["u"] = event.until.nanoseconds();
    json["e"] = end_name(event.end);
  }
  if (event.held != VirtualTime::never()) {
    json["h"] = event.held.nanoseconds();
  }
  if (event.to >= 0) {
    json["o"] = event.to;
  }
  if (!event.fiber.empty()) {
    json["f"] = event.fiber;
  }
  if (!event.detail.empty()) {
    json["d"] = event.kind == StoryKind::kFinding ? event.detail : event.detail.substr(0, kDetailMost);
  }
  if (event.bytes != 0) {
    json["b"] = event.bytes;
  }
  if (const auto request = numbers.find(event.answers); event.answers != 0 && request != numbers.end()) {
    json["a"] = request->second;
  }
  return json;
}

Json events_json(const Story& story) {
  const std::vector<StoryEvent> events = story.events();
  absl::btree_map<StoryId, std::size_t> numbers;
  for (std::size_t i = 0; i < events.size(); ++i) {
    numbers.emplace(events[i].id, i);
  }
  Json all = Json::array();
  for (const StoryEvent& event : events) {
    all.push_back(event_json(event, numbers));
  }
  return all;
}

std::int32_t machine_of(const Story& story, const std::string& place) {
  const std::string name = place.substr(0, place.rfind('#'));
  const auto found = std::find_if(story.machines().begin(), story.machines().end(),
                                  [&name](const Story::Who& who) { return who.name == name; });
  return found == story.machines().end() ? -1 : static_cast<std::int32_t>(found - story.machines().begin());
}

Json fiber_json(const Story& story, std::size_t i) {
  const StoryWaits& waits = story.waits();
  const fiber::FiberWait& wait = waits.waits[i];
  static constexpr const char* kMeanings[] = {"normal", "peer", "never"};
  Json json = {{"place", wait.place}, {"m", machine_of(story, wait.place)}, {"f", wait.path}};
  if (std::binary_search(waits.deadlocked.begin(), waits.deadlocked.end(), i)) {
    json["dead"] = true;
  }
  if (wait.waiting) {
    json["means"] = kMeanings[static_cast<std::size_t>(wait.meaning)];
    if (wait.left != Duration::infinite()) {
      json["left"] = wait.left.nanoseconds();
    }
    json["waits"] = Json::array();
    for (std::size_t k = 0; k < wait.keys.size(); ++k) {
      json["waits"].push_back({{"x", k == 0 ? fiber::describe_wait(wait) : fiber::describe_key(wait.keys[k])},
                               {"by", waits.providers[i][k]}});
    }
  }
  for (const inspect::FiberStack& stack : waits.stacks) {
    if (stack.place == wait.place && stack.path == wait.path) {
      json["stack"] = stack.frames;
    }
  }
  return json;
}

Json run_json(const Story& story, const StoryRun& run) {
  Json faults = Json::object();
  for (const auto& [kind, count] : run.result.faults) {
    faults[kind] = count;
  }
  return {{"scenario", run.scenario.name()},
          {"description", run.scenario.description()},
          {"seed", run.plan.seed},
          {"replay", run.replay},
          {"ended", story.ended().nanoseconds()},
          {"lasts", run.plan.lasts.nanoseconds()},
          {"calm", run.plan.calm.nanoseconds()},
          {"events", run.result.events},
          {"forgotten", story.forgotten()},
          {"hash", fmt::format("{:016x}", run.result.hash)},
          {"faults", std::move(faults)}};
}

std::string replaced(std::string_view text, std::string_view marker, std::string_view with) {
  const std::size_t at = text.find(marker);
  CHECK_NE(at, std::string_view::npos);
  return fmt::format("{}{}{}", text.substr(0, at), with, text.substr(at + marker.size()));
}

}  // namespace

std::string story_json(const Story& story, const StoryRun& run) {
  Json json = {{"run", run_json(story, run)}, {"explanation", explain(story, run)}, {"finding", nullptr}};
  if (!run.result.findings.empty()) {
    const Finding& finding = run.result.findings.front();
    json["finding"] = {{"checker", finding.checker}, {"message", finding.message}, {"t", finding.at.nanoseconds()}};
  }
  json["machines"] = Json::array();
  for (const Story::Who& who : story.machines()) {
    json["machines"].push_back({{"name", who.name}, {"node", who.node}});
  }
  json["events"] = events_json(story);
  json["waits_at"] = story.waits().at.nanoseconds();
  json["fibers"] = Json::array();
  for (std::size_t i = 0; i < story.waits().waits.size(); ++i) {
    json["fibers"].push_back(fiber_json(story, i));
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string story_page(const Story& story, const StoryRun& run) {
  std::string data;
  for (const char c : story_json(story, run)) {
    data += c == '<' ? std::string("\\u003c") : std::string(1, c);  // no end tag within the data
  }
  std::string page = replaced(page_html(), "/*STYLE*/", page_css());
  page = replaced(page, "/*SCRIPT*/", page_script());
  return replaced(page, "/*STORY*/", data);
}

}  // namespace chronik::sim
