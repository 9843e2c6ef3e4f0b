#include "core/replication/fetcher.h"

#include <absl/cleanup/cleanup.h>
#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "core/base/log_line.h"
#include "core/base/sim_point.h"
#include "core/client/dial.h"

namespace chronik::replication {

using protocol::ErrorCode;
using protocol::FetchPartitionResponse;
using protocol::FetchRequest;
using protocol::FetchResponse;

namespace {

constexpr std::int16_t kFetchVersion = 17;
constexpr std::uint64_t kInFlightMax = 3;

}  // namespace

Fetcher::Fetcher(Network& network, cluster::Metadata& metadata, log::LogManager& logs, NodeId self, NodeId leader,
                 const FetchOptions& options, ReplicationMetrics& metrics)
    : network_(network),
      metadata_(metadata),
      logs_(logs),
      self_(self),
      leader_(leader),
      options_(options),
      metrics_(metrics) {}

Fetcher::~Fetcher() = default;

// ---- what is followed ----

void Fetcher::follow(const Ref<Partition>& partition) {
  std::unique_ptr<Following>& following = following_[partition->log().key()];
  if (following != nullptr && following->partition == partition && following->epoch == partition->epoch()) {
    return;
  }
  following = std::make_unique<Following>();
  following->partition = partition;
  following->epoch = partition->epoch();
  following->held_back = partition->damaged();
  std::erase(forgotten_, partition->log().key());
  mark(*following);
}

void Fetcher::forget(const log::LogKey& key) {
  if (following_.erase(key) > 0) {
    paused_.erase(key);
    forgotten_.push_back(key);
    changed_.notify_all();
  }
}

bool Fetcher::held_back(const log::LogKey& key) const {
  const auto found = following_.find(key);
  return found != following_.end() && found->second->held_back;
}

void Fetcher::follow_again(const log::LogKey& key) {
  if (held_back(key)) {
    following_.at(key)->held_back = false;
    mark(*following_.at(key));
  }
}

void Fetcher::note(const log::LogKey& key) {
  const auto found = following_.find(key);
  if (found != following_.end() && !paused_.contains(key) && !found->second->halted) {
    mark(*found->second);
  }
}

void Fetcher::connect_anew() {
  if (client_ != nullptr) {
    client_->close();
    changed_.notify_all();
  }
}

void Fetcher::mark(Following& following) {
  if (!following.linked() && !following.held_back) {
    dirty_.push_back(following);
    changed_.notify_all();
  }
}

void Fetcher::trouble(Following& following) {
  following.pause = std::clamp(following.pause * 2, options_.pause_min, options_.pause_max);
  following.not_before = fiber::Scheduler::current().now() + following.pause;
  following.unlink();
  paused_.insert(following.partition->log().key());
  changed_.notify_all();
}

void Fetcher::revive_paused() {
  const MonotonicTime now = fiber::Scheduler::current().now();
  for (auto key = paused_.begin(); key != paused_.end();) {
    Following& following = *following_.at(*key);
    if (following.not_before > now) {
      ++key;
      continue;
    }
    key = paused_.erase(key);
    mark(following);
  }
}

MonotonicTime Fetcher::next_revival() const {
  MonotonicTime next = MonotonicTime::never();
  for (const log::LogKey& key : paused_) {
    next = std::min(next, following_.at(key)->not_before);
  }
  return next;
}

// ---- the session ----

void Fetcher::run() {
  Duration pause = options_.pause_min;
  bool told = false;
  for (;;) {
    while (following_.empty()) {
      if (!changed_.wait({WaitKind::kWork, 0, 0, 0}, fiber::for_ever()).ok()) {
        return;
      }
    }
    const StatusOr<std::unique_ptr<client::Client>> client = connect();
    Status status = client.status();
    if (client.ok()) {
      const MonotonicTime began = fiber::Scheduler::current().now();
      status = serve(**client);
      if (fiber::Scheduler::current().now() - began > options_.pause_max) {
        pause = options_.pause_min;
        told = false;
      }
    }
    const bool failed = !following_.empty() && !absl::IsCancelled(status);
    metrics_.fetch_failures.add(failed ? 1 : 0);
    if (failed && !std::exchange(told, true)) {
      log_warn("replica fetch failed", field("leader", leader_), field("why", status.ToString()));
    }
    if (!fiber::sleep(pause).ok()) {
      return;
    }
    pause = std::min(pause * 2, options_.pause_max);
  }
}

StatusOr<std::unique_ptr<client::Client>> Fetcher::connect() {
  const cluster::Broker* broker = metadata_.image()->find_broker(leader_);
  if (broker == nullptr || broker->endpoints.empty()) {
    return absl::UnavailableError("it is not registered");
  }
  const cluster::Endpoint endpoint = broker->endpoints.front();
  ASSIGN_OR_RETURN(
      std::unique_ptr<Connection> connection,
      client::dial(network_, endpoint.host, endpoint.port, fiber::within(options_.connect, Expiry::kPeer)));
  return std::make_unique<client::Client>(
      std::move(connection), client::ClientOptions{.client_id = fmt::format("chronik-replica-{}", self_.value())});
}

Status Fetcher::serve(client::Client& client) {
  session_ = session_epoch_ = 0;
  answers_.clear();
  answered_ = asked_;
  forgotten_.clear();
  for (const auto& [key, following] : following_) {
    following->asked_first = 0;
    if (!paused_.contains(key) && !following->halted) {
      mark(*following);
    }
  }
  const absl::Cleanup serving = [this] {
    client_ = nullptr;
    answers_.clear();
  };
  client_ = &client;
  Status taken = ok();
  fiber::FiberScope scope;
  scope.spawn({"replica-taker", static_cast<std::uint64_t>(leader_.value())}, [&] {
    taken = take_answers();
    client.close();
    changed_.notify_all();
  });
  const Status asked = ask_for_ever(client);
  const bool ended = client.broken();  // not by this node: who takes the answers knows why
  client.close();
  scope.cancel_and_join();
  return absl::IsCancelled(asked) || absl::IsAborted(asked) || !ended || taken.ok() ? asked : taken;
}

Status Fetcher::wait_to_ask(const client::Client& client) {
  for (;;) {
    if (client.broken()) {
      return absl::UnavailableError("the connection has ended");
    }
    const MonotonicTime expires = answers_.empty() ? MonotonicTime::never() : answers_.begin()->second->expires;
    if (fiber::Scheduler::current().now() >= expires) {
      return absl::UnavailableError("no answer in time");
    }
    revive_paused();
    const std::uint64_t in_flight = asked_ - answered_;
    const bool news = !dirty_.empty() || !forgotten_.empty();
    // Until the session has its number, which the first answer brings at once, there is one request.
    const bool may = in_flight == 0 || (session_ != 0 && in_flight < kInFlightMax && news);
    if (may) {
      return ok();
    }
    Status woken = changed_.wait({WaitKind::kFetchAnswer, static_cast<std::uint64_t>(leader_.value()), asked_, 0},
                                 fiber::for_ever().no_later_than(std::min(next_revival(), expires), Expiry::kNormal));
    if (!woken.ok() && !absl::IsDeadlineExceeded(woken)) {
      return woken;
    }
    if (following_.empty()) {
      return absl::UnavailableError("nothing is left to be followed");
    }
  }
}

Status Fetcher::ask_for_ever(client::Client& client) {
  for (;;) {
    sim_pause("replication.before_ask");
    RETURN_IF_ERROR(wait_to_ask(client));
    RETURN_IF_ERROR(ask(client));
  }
}

Status Fetcher::ask(client::Client& client) {
  const std::uint64_t number = ++asked_;
  std::unique_ptr<Answer>& answer = answers_[number];
  answer = std::make_unique<Answer>(*this, fiber::Scheduler::current().now() + options_.wait + options_.request);
  return client.start(next_request(number), kFetchVersion, *answer);
}

FetchRequest Fetcher::next_request(std::uint64_t number) {
  FetchRequest request;
  request.max_wait_ms = session_epoch_ == 0 ? 0 : static_cast<std::int32_t>(options_.wait.milliseconds());
  request.min_bytes = 1;
  request.max_bytes = options_.bytes_max;
  request.session_id = session_;
  request.session_epoch = session_epoch_;
  session_epoch_ = session_epoch_ == std::numeric_limits<std::int32_t>::max() ? 1 : session_epoch_ + 1;
  request.replica_state = {.replica_id = self_, .replica_epoch = metadata_.broker_epoch()};
  while (!dirty_.empty()) {
    Following& following = dirty_.pop_front();
    if (following.asked_first == 0) {
      following.asked_first = number;
    }
    const log::PartitionLog& log = following.partition->log();
    if (request.topics.empty() || request.topics.back().topic_id != log.key().topic) {
      request.topics.emplace_back().topic_id = log.key().topic;
    }
    request.topics.back().partitions.push_back({.partition = log.key().partition,
                                                .current_leader_epoch = following.epoch,
                                                .fetch_offset = log.log_end(),
                                                .last_fetched_epoch = log.last_epoch(),
                                                .log_start_offset = log.log_start(),
                                                .partition_max_bytes = options_.partition_bytes_max,
                                                .replica_directory_id = {},
                                                .durable_end = log.durable_end()});
  }
  for (const log::LogKey& key : std::exchange(forgotten_, {})) {
    request.forgotten_topics_data.push_back({.topic = {}, .topic_id = key.topic, .partitions = {key.partition}});
  }
  return request;
}

// ---- answers ----

StatusOr<FetchResponse> Fetcher::next_answer() {
  const std::uint64_t number = answered_ + 1;
  for (;;) {
    const auto next = answers_.find(number);
    if (next != answers_.end() && next->second->arrived) {
      const StatusOr<Slice> body = std::move(next->second->body);
      answers_.erase(next);
      RETURN_IF_ERROR(body.status());
      return protocol::decode<FetchResponse>(*body, kFetchVersion);
    }
    RETURN_IF_ERROR(changed_.wait({WaitKind::kFetchAnswer, static_cast<std::uint64_t>(leader_.value()), number, 0},
                                  fiber::for_ever()));  // whoever asks looks at the time
  }
}

Status Fetcher::take_answers() {
  for (;;) {
    ASSIGN_OR_RETURN(const FetchResponse response, next_answer());
    sim_pause("replication.answer_taken");
    if (response.error_code != ErrorCode::kNone) {
      return absl::UnavailableError(fmt::format("it answers {}", protocol::error_name(response.error_code)));
    }
    session_ = response.session_id;
    // Asked again as soon as what came has been taken, not before: the next question says where this has led to.
    RETURN_IF_ERROR(take(answered_ + 1, response));
    ++answered_;
    changed_.notify_all();
  }
}

Status Fetcher::take(std::uint64_t number, const FetchResponse& response) {
  for (const protocol::FetchTopicResponse& topic : response.responses) {
    for (const FetchPartitionResponse& answer : topic.partitions) {
      const auto found = following_.find({topic.topic_id, answer.partition_index});
      // What was asked in an earlier epoch says nothing in this one.
      if (found == following_.end() || found->second->asked_first == 0 || found->second->asked_first > number) {
        continue;
      }
      RETURN_IF_ERROR(take_partition(*found->second, answer));
    }
  }
  return ok();
}

}  // namespace chronik::replication
