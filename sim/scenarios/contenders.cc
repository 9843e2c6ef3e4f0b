#include "sim/scenarios/contenders.h"

#include <fmt/core.h>

#include "core/protocol/messages/create_topics.h"
#include "core/protocol/messages/delete_topics.h"
#include "sim/scenarios/one_node.h"

namespace chronik::sim {

namespace {

using protocol::ErrorCode;

constexpr std::int16_t kContendedVersion = 5;
constexpr std::int32_t kContendedTimeoutMs = 10'000;
constexpr std::size_t kContendedNames = 2;
// What is not known may happen at any later time, and explains almost anything: then another name is taken.
constexpr std::size_t kUnknownMost = 4;

std::string contended_name(const Contention& contention, std::size_t number) {
  for (std::size_t life = 0;; ++life) {
    const std::string name = fmt::format("contended-{}.{}", number, life);
    if (contention.history.unknown(name) < kUnknownMost) {
      return name;
    }
  }
}

// False: this node is of no use now; another may be.
bool contend(ProcessContext& process, client::Client& client, Contention& contention) {
  const std::size_t number = process.ports.random.next() % kContendedNames;
  const bool creates = process.ports.random.next() % 2 == 0;
  const std::string name = contended_name(contention, number);
  const TopicHistory::Request request =
      contention.history.ask(name, creates ? TopicHistory::Verb::kCreate : TopicHistory::Verb::kDelete);
  const std::optional<ErrorCode> error = creates ? create_topic(client, name) : delete_topic(client, name);
  const ErrorCode refusal = creates ? ErrorCode::kTopicAlreadyExists : ErrorCode::kUnknownTopicOrPartition;
  const bool known = error == ErrorCode::kNone || error == refusal;
  contention.history.answer(request, !known                      ? TopicHistory::Outcome::kUnknown
                                     : error == ErrorCode::kNone ? TopicHistory::Outcome::kDone
                                                                 : TopicHistory::Outcome::kRefused);
  return known;
}

}  // namespace

std::optional<ErrorCode> create_topic(client::Client& client, const std::string& name) {
  protocol::CreateTopicsRequest request;
  request.timeout_ms = kContendedTimeoutMs;
  request.topics.push_back(
      {.name = name, .num_partitions = 2, .replication_factor = 1, .assignments = {}, .configs = {}});
  const auto got = client.call<protocol::CreateTopicsResponse>(request, kContendedVersion, node_patience());
  return got.ok() && got->topics.size() == 1 ? std::optional(got->topics[0].error_code) : std::nullopt;
}

std::optional<ErrorCode> delete_topic(client::Client& client, const std::string& name) {
  protocol::DeleteTopicsRequest request;
  request.timeout_ms = kContendedTimeoutMs;
  request.topic_names.push_back(name);
  const auto got = client.call<protocol::DeleteTopicsResponse>(request, kContendedVersion, node_patience());
  return got.ok() && got->responses.size() == 1 ? std::optional(got->responses[0].error_code) : std::nullopt;
}

void run_contender(ProcessContext& process, const GroupState& state, Contention& contention) {
  const auto healed = [&state] { return state.world->now() >= state.healed; };
  while (!healed()) {
    const StatusOr<std::unique_ptr<client::Client>> client = connect_to_any(process, state);
    while (client.ok() && !(*client)->broken() && !healed() && contend(process, **client, contention)) {
      sleep_between(process, 1, contention.pause_ms);
    }
    sleep_between(process, 20, 300);
  }
}

void judge_contention(World& world, const Contention& contention, const cluster::Image& image) {
  const std::string wrong =
      contention.history.judge([&image](const std::string& name) { return image.find_topic(name) != nullptr; });
  if (!wrong.empty()) {
    world.fail("META-LIN", wrong);
  }
}

}  // namespace chronik::sim
