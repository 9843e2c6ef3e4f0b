// Fetch: what a consumer may see of the logs, waited for without polling.
#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "core/base/sim_point.h"
#include "core/broker/broker.h"
#include "core/broker/connection.h"
#include "core/broker/forward_fetch.h"
#include "core/broker/handlers.h"
#include "core/broker/leader_hints.h"
#include "core/broker/replica_fetch.h"
#include "core/protocol/messages/fetch.h"

namespace chronik::broker {

using protocol::ErrorCode;
using protocol::FetchPartition;
using protocol::FetchPartitionResponse;
using protocol::FetchRequest;
using protocol::FetchResponse;

namespace {

// One partition of the request: what it is here, and where its answer stands.
struct Asked {
  const FetchPartition* wanted = nullptr;
  FetchPartitionResponse* answer = nullptr;
  Ref<replication::Partition> partition;  // null: the answer has its error already, or another leader gives it
  bool elsewhere = false;                 // another leader gives its answer
};

struct FetchWork {
  Request request;
  FetchRequest asked;
  FetchResponse response;
  std::vector<Asked> partitions;
  std::unique_ptr<ForwardedFetch> forwarded = {};  // null: nothing concerns other leaders
  bool opens_session = false;
  std::unique_ptr<FetchSession::Use> session = {};  // of which it is a request; null: of none

  bool by_id() const { return request.header.version >= 13; }
  // kNone, or why it is not to be answered in its session any more.
  ErrorCode standing() const { return session != nullptr ? session->standing() : ErrorCode::kNone; }
};

// Clients that ask in older versions cannot read zstd. As with Kafka, only the topic's own codec counts.
constexpr std::int16_t kZstdSince = 10;

ErrorCode find_partition(Broker& broker, const FetchWork& work, const protocol::FetchTopic& topic, PartitionId index,
                         Ref<replication::Partition>& partition) {
  HostedTopic* hosted = work.by_id() ? broker.table().find(topic.topic_id) : broker.table().find(topic.topic);
  if (hosted != nullptr) {
    const ErrorCode found = hosted->find(index, partition);
    const bool readable = hosted->settings.codec != protocol::Codec::kZstd || work.request.header.version >= kZstdSince;
    if (found == ErrorCode::kNone && !readable) {
      partition = nullptr;
      return ErrorCode::kUnsupportedCompressionType;
    }
    return found;
  }
  if (!work.by_id()) {
    return ErrorCode::kUnknownTopicOrPartition;
  }
  // A session remembers the name of a topic that has gone: perhaps there is another of that name now.
  const bool made_anew = !topic.topic.empty() && broker.table().find(topic.topic) != nullptr;
  return made_anew ? ErrorCode::kInconsistentTopicId : ErrorCode::kUnknownTopicId;
}

// Where another node leads the partition, its answer comes from there.
bool forward(Broker& broker, FetchWork& work, const PartitionPlace& place, const Asked& asked) {
  const protocol::FetchTopic& topic = work.asked.topics[place.topic];
  const cluster::Image& image = *broker.metadata().image();
  const cluster::Topic* known = work.by_id() ? image.find_topic(topic.topic_id) : image.find_topic(topic.topic);
  const NodeId leader = broker.leader_elsewhere(known, asked.wanted->partition);
  if (leader == NodeId::none()) {
    return false;
  }
  if (work.forwarded == nullptr) {
    work.forwarded = std::make_unique<ForwardedFetch>(broker, work.request, work.asked);
  }
  work.forwarded->add(place, leader);
  return true;
}

void prepare(Broker& broker, FetchWork& work) {
  const bool forwards = broker.forwards(work.request);
  std::size_t count = 0;
  for (const protocol::FetchTopic& topic : work.asked.topics) {
    auto& answers = work.response.responses.emplace_back();
    answers.topic = work.by_id() ? std::string() : topic.topic;
    answers.topic_id = topic.topic_id;
    answers.partitions.resize(topic.partitions.size());
    count += topic.partitions.size();
  }
  work.partitions.reserve(count);
  for (std::size_t t = 0; t < work.asked.topics.size(); ++t) {
    const protocol::FetchTopic& topic = work.asked.topics[t];
    for (std::size_t p = 0; p < topic.partitions.size(); ++p) {
      FetchPartitionResponse& answer = work.response.responses[t].partitions[p];
      answer.partition_index = topic.partitions[p].partition;
      answer.records = Slice();  // librdkafka takes a null for a broken answer, and its leader may not answer at all
      Asked& asked = work.partitions.emplace_back();
      asked.wanted = &topic.partitions[p];
      asked.answer = &answer;
      answer.error_code = find_partition(broker, work, topic, asked.wanted->partition, asked.partition);
      if (answer.error_code != ErrorCode::kNone) {
        answer.aborted_transactions.emplace();
      }
      const bool led_here = asked.partition && asked.partition->leading();
      if (forwards && !led_here && forward(broker, work, {t, p}, asked)) {
        asked.elsewhere = true;
        asked.partition = nullptr;
        answer.error_code = ErrorCode::kNone;
      }
    }
  }
}

// Positions and errors that need no reading. False where there is nothing to be read for this partition.
bool describe(const FetchWork& work, const Asked& asked) {
  FetchPartitionResponse& answer = *asked.answer;
  if (asked.elsewhere) {
    return false;
  }
  answer.records = Slice();
  if (!asked.partition) {
    return false;
  }
  const replication::Partition& partition = *asked.partition;
  answer.error_code = partition.check_leadership(asked.wanted->current_leader_epoch);
  if (answer.error_code != ErrorCode::kNone) {
    return false;
  }
  const log::PartitionLog& log = partition.log();
  answer.high_watermark = partition.high_watermark();
  answer.last_stable_offset = partition.high_watermark();
  answer.log_start_offset = log.log_start();
  if (work.asked.isolation_level == 1) {
    answer.aborted_transactions.emplace();
  }
  const Offset from = asked.wanted->fetch_offset;
  if (asked.wanted->last_fetched_epoch > partition.epoch()) {
    answer.error_code = ErrorCode::kOffsetOutOfRange;
    return false;
  }
  // Before its range: a client that has read what was cut since is told where to go on.
  if (asked.wanted->last_fetched_epoch != LeaderEpoch::none()) {
    const log::EpochEnd end = log.end_of_epoch(asked.wanted->last_fetched_epoch);
    if (end.epoch < asked.wanted->last_fetched_epoch || end.end < from) {
      answer.diverging_epoch = {.epoch = end.epoch, .end_offset = end.end};
      return false;
    }
  }
  if (from < log.log_start() || from > log.log_end()) {
    answer.error_code = ErrorCode::kOffsetOutOfRange;
    return false;
  }
  return from < partition.high_watermark();
}

bool answered_at_once(const FetchPartitionResponse& answer) {
  return answer.error_code != ErrorCode::kNone || answer.diverging_epoch.epoch != LeaderEpoch::none();
}

struct Collected {
  std::size_t bytes = 0;
  bool at_once = false;  // an error or a divergence is news that does not wait for min_bytes
};

// Reads what there is, partition by partition in the order of the request.
Collected collect(FetchWork& work, std::size_t max_bytes, const Deadline& deadline) {
  Collected collected;
  for (Asked& asked : work.partitions) {
    const bool readable = describe(work, asked);
    collected.at_once |= !asked.elsewhere && answered_at_once(*asked.answer);
    if (!readable || (collected.bytes >= max_bytes && collected.bytes > 0)) {
      continue;
    }
    const auto partition_max = static_cast<std::size_t>(std::max(asked.wanted->partition_max_bytes, 0));
    const log::ReadLimits limits{.max_bytes = std::min(partition_max, max_bytes - collected.bytes),
                                 .below = asked.partition->high_watermark(),
                                 .min_one_batch = collected.bytes == 0};
    StatusOr<log::ReadResult> read = asked.partition->log().read(asked.wanted->fetch_offset, limits, deadline);
    if (!read.ok()) {
      asked.answer->error_code = read_error_of(read.status());
      collected.at_once = true;
      continue;
    }
    collected.bytes += read->bytes;
    if (read->bytes > 0) {
      asked.answer->records = joined(std::move(read->parts), read->bytes);
    }
  }
  return collected;
}

bool anything_to_read(const FetchWork& work) {
  bool found = false;
  for (const Asked& asked : work.partitions) {
    found |= describe(work, asked) || answered_at_once(*asked.answer);
  }
  return found || work.partitions.empty();
}

// What may end its wait: news of a partition that is led here, and a later request of its session.
void add_moves(const FetchWork& work, fiber::WaitSet& moves) {
  for (const Asked& asked : work.partitions) {
    if (asked.partition) {
      moves.add(asked.partition->progress(), asked.partition->progress_key());
    }
  }
  if (work.session != nullptr) {
    work.session->add_to(moves);
  }
}

// Waits until a partition moves. One wait, however many partitions.
Status wait_for_progress(const FetchWork& work, const Deadline& deadline) {
  fiber::WaitSet moves;
  add_moves(work, moves);
  return moves.wait_any(deadline);
}

// An answer is cut at fetch.max.bytes whatever the client allows; and no more than its partitions may give is set aside
// for it, so that small fetches do not wait for each other.
std::size_t bytes_allowed(Broker& broker, const FetchWork& work) {
  const std::int64_t allowed = std::clamp(work.asked.max_bytes, 0, broker.limits().fetch_bytes_max);
  std::int64_t possible = 0;
  for (const Asked& asked : work.partitions) {
    possible += std::max(asked.wanted->partition_max_bytes, 0);
  }
  return static_cast<std::size_t>(std::min(allowed, possible));
}

void refuse_whole(Broker& broker, Request& request, ErrorCode error) {
  FetchResponse response;
  response.error_code = error;
  broker.metrics().fetch_failed.add();
  request.reply(response);
}

void finish(Broker& broker, FetchWork& work, const Collected& collected, fiber::Budget::Hold hold) {
  if (const ErrorCode error = work.standing(); error != ErrorCode::kNone) {
    return refuse_whole(broker, work.request, error);
  }
  broker.metrics().fetch_ok.add();
  broker.metrics().bytes_fetched.add(collected.bytes);
  if (collected.at_once) {
    name_leaders(broker, work.response, work.request.header.version);
  }
  if (work.session != nullptr) {
    work.session->session().tell(work.response);
  } else if (work.opens_session) {
    const MonotonicTime now = fiber::Scheduler::current().now();
    broker.fetch_sessions().open(work.asked, work.response, work.by_id(), now);
  }
  work.request.reply(work.response, std::move(hold));
}

void serve(Broker& broker, FetchWork& work) {
  const Duration wait = std::min(Duration::milliseconds(std::max(work.asked.max_wait_ms, 0)), broker.limits().request);
  const Deadline parked = fiber::within(wait, Expiry::kNormal);
  const Deadline reading = fiber::within(wait + broker.limits().request, Expiry::kPeer);
  const std::size_t max_bytes = bytes_allowed(broker, work);
  const auto min_bytes = static_cast<std::size_t>(std::max(work.asked.min_bytes, 0));
  Collected collected;
  fiber::Budget::Hold hold;
  for (bool waiting = min_bytes > 0 && wait > Duration::zero();;) {
    while (waiting && !anything_to_read(work)) {
      const Status moved = wait_for_progress(work, parked);
      sim_pause("fetch.woken");
      if (absl::IsDeadlineExceeded(moved)) {
        waiting = false;
      } else if (!moved.ok()) {
        return work.request.answer.close("the connection ends");
      }
      if (work.standing() != ErrorCode::kNone) {
        return finish(broker, work, {}, {});
      }
    }
    StatusOr<fiber::Budget::Hold> room = work.request.connection.response_bytes().take(max_bytes, reading);
    if (!room.ok()) {
      return work.request.answer.close("no room for the answer");
    }
    hold = *std::move(room);
    sim_pause("fetch.before_read");
    collected = collect(work, max_bytes, reading);
    hold.shrink_to(collected.bytes);
    if (!waiting || collected.at_once || collected.bytes >= std::min(min_bytes, max_bytes)) {
      break;
    }
    // Less than the client wants to be woken for: what was read goes back, and the rest is waited for.
    hold = {};
    const Status moved = wait_for_progress(work, parked);
    if (!moved.ok() && !absl::IsDeadlineExceeded(moved)) {
      return work.request.answer.close("the connection ends");
    }
    waiting = moved.ok() && work.standing() == ErrorCode::kNone;
  }
  finish(broker, work, collected, std::move(hold));
}

// ---- partitions that others lead ----

// All of them led by one other node: it waits as this one would.
void serve_elsewhere(Broker& broker, FetchWork& work) {
  const Duration wait = std::min(Duration::milliseconds(std::max(work.asked.max_wait_ms, 0)), broker.limits().request);
  const ForwardedFetch::Gathered got =
      work.forwarded->ask(wait, work.asked.min_bytes, bytes_allowed(broker, work), work.response);
  // Not before: while it waits it has nothing, and would keep others from what they have.
  StatusOr<fiber::Budget::Hold> room =
      work.request.connection.response_bytes().take(got.bytes, fiber::within(broker.limits().request, Expiry::kPeer));
  if (!room.ok()) {
    return work.request.answer.close("no room for the answer");
  }
  finish(broker, work, {.bytes = got.bytes, .at_once = got.at_once}, *std::move(room));
}

// Whether a partition that is led here has moved since collect() looked at it.
bool moved_since(const FetchWork& work) {
  return std::any_of(work.partitions.begin(), work.partitions.end(), [](const Asked& asked) {
    return asked.partition &&
           (asked.partition->check_leadership(asked.wanted->current_leader_epoch) != asked.answer->error_code ||
            asked.partition->high_watermark() != asked.answer->high_watermark);
  });
}

// Led by several nodes.
void serve_split(Broker& broker, FetchWork& work) {
  const MonotonicTime began = fiber::Scheduler::current().now();
  const Duration wait = std::min(Duration::milliseconds(std::max(work.asked.max_wait_ms, 0)), broker.limits().request);
  const Deadline parked = fiber::within(wait, Expiry::kNormal);
  const Deadline reading = fiber::within(wait + broker.limits().request, Expiry::kPeer);
  const std::size_t max_bytes = bytes_allowed(broker, work);
  const std::size_t share = std::max<std::size_t>(max_bytes / (work.forwarded->leaders() + 1), 1);
  const auto min_bytes = static_cast<std::size_t>(std::max(work.asked.min_bytes, 0));
  Collected collected;
  fiber::Budget::Hold hold;
  for (bool waiting = min_bytes > 0 && wait > Duration::zero();;) {
    const ForwardedFetch::Gathered got = work.forwarded->ask(Duration::zero(), 0, share, work.response);
    StatusOr<fiber::Budget::Hold> room = work.request.connection.response_bytes().take(max_bytes, reading);
    if (!room.ok()) {
      return work.request.answer.close("no room for the answer");
    }
    hold = *std::move(room);
    collected = collect(work, share, reading);
    collected.at_once |= got.at_once || collected.bytes >= share;
    collected.bytes += got.bytes;
    hold.shrink_to(collected.bytes);
    if (!waiting || collected.at_once || collected.bytes >= std::min(min_bytes, max_bytes)) {
      break;
    }
    hold = {};
    fiber::WaitSet moves;
    const Duration left = wait - (fiber::Scheduler::current().now() - began);
    if (left > Duration::zero() && !work.forwarded->park(left, moves) && !moved_since(work)) {
      add_moves(work, moves);
      const Status moved = moves.wait_any(parked);
      if (!moved.ok() && !absl::IsDeadlineExceeded(moved)) {
        return work.request.answer.close("the connection ends");
      }
      waiting = moved.ok() && work.standing() == ErrorCode::kNone;
    } else {
      waiting = left > Duration::zero();
    }
  }
  finish(broker, work, collected, std::move(hold));
}

void serve_anywhere(Broker& broker, FetchWork& work) {
  if (work.forwarded == nullptr) {
    serve(broker, work);
  } else if (work.forwarded->leaders() == 1 && work.forwarded->partitions() == work.partitions.size()) {
    serve_elsewhere(broker, work);
  } else {
    serve_split(broker, work);
  }
}

// ---- sessions ----

// By its id alone nobody could say later that a topic was made anew.
void name_topics(Broker& broker, FetchRequest& asked) {
  const cluster::ImageRef image = broker.metadata().image();
  for (protocol::FetchTopic& topic : asked.topics) {
    if (const cluster::Topic* known = image->find_topic(topic.topic_id); known != nullptr) {
      topic.topic = known->name;
    }
  }
}

// Once it is its turn: as if all partitions of the session had been asked for.
void serve_session(Broker& broker, FetchWork& work) {
  if (!work.session->enter(fiber::within(broker.limits().request + broker.limits().request, Expiry::kPeer)).ok()) {
    return work.request.answer.close("the connection ends");
  }
  if (work.standing() != ErrorCode::kNone) {
    return finish(broker, work, {}, {});
  }
  work.asked.topics.clear();
  work.asked.forgotten_topics_data.clear();
  work.session->session().list(work.asked.topics);
  prepare(broker, work);
  serve_anywhere(broker, work);
}

}  // namespace

void handle_fetch(Broker& broker, Request&& request) {
  StatusOr<FetchRequest> asked = protocol::decode<FetchRequest>(request.body, request.header.version);
  if (!asked.ok()) {
    return broker.refuse_malformed(request, asked.status());
  }
  if (replica_of(*asked, request.header.version) >= NodeId(0)) {
    return handle_replica_fetch(broker, std::move(request), *std::move(asked));
  }
  auto work = std::make_unique<FetchWork>(
      FetchWork{.request = std::move(request), .asked = *std::move(asked), .response = {}, .partitions = {}});
  if (work->by_id() && work->asked.session_epoch >= 0) {
    name_topics(broker, work->asked);
  }
  FetchSessions::Admission admission =
      broker.fetch_sessions().admit(work->asked, work->request.header.version, fiber::Scheduler::current().now());
  if (admission.error != ErrorCode::kNone) {
    return refuse_whole(broker, work->request, admission.error);
  }
  work->opens_session = admission.opens;
  if (admission.session) {
    work->session = std::make_unique<FetchSession::Use>(std::move(admission.session));
  } else {
    prepare(broker, *work);
  }
  ClientConnection& connection = work->request.connection;
  connection.spawn("fetch", [&broker, work = std::move(work)] {
    if (work->session != nullptr) {
      serve_session(broker, *work);
    } else {
      serve_anywhere(broker, *work);
    }
  });
}

}  // namespace chronik::broker
