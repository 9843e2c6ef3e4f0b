#include "core/broker/late_produce.h"

#include <fmt/core.h>

#include <algorithm>
#include <string>
#include <utility>

#include "core/base/sim_point.h"
#include "core/broker/leader_hints.h"
#include "core/protocol/answer_errors.h"

namespace chronik::broker {

using protocol::ErrorCode;
using protocol::ProduceRequest;
using protocol::ProduceResponse;

// What another leader is asked to append, and its answer.
class ForwardedProduce final : public ForwardCall {
 public:
  ForwardedProduce(LateProduce& work, ForwardPart<ProduceRequest>& part)
      : work_(work), leader_(part.leader), places_(std::move(part.places)) {}

  void fail(const Status& why);
  // What has become of it, into the response. False: not all of it was acknowledged.
  bool tell(ProduceResponse& response, std::int16_t version) const;

 private:
  void on_forwarded(StatusOr<Slice> body) override;

  LateProduce& work_;
  NodeId leader_;
  std::vector<PartitionPlace> places_;
  StatusOr<Slice> answer_ = absl::DeadlineExceededError("no answer yet");
};

void PendingAppend::on_passed(bool passed) {
  error = partition->acknowledge(work->acks(), passed);
  if (error == ErrorCode::kNotLeaderOrFollower && producer.present()) {
    work->note_refused(*this);
  }
  work->settle_one();
}

LateProduce::LateProduce(Broker& broker, Request& request, replication::Acks acks, std::size_t partitions)
    : broker_(broker),
      client_(request.connection),
      key_(request.connection.request_key()),
      answer_(std::move(request.answer)),
      hold_(std::move(request.frame_hold)),
      received_(request.received),
      correlation_id_(request.header.correlation_id),
      version_(request.header.version),
      acks_(acks),
      appends_(partitions) {}

LateProduce::~LateProduce() = default;

void LateProduce::add(Ref<replication::Partition> partition, const replication::Partition::AppendOutcome& outcome,
                      const log::ProducerBatch& producer, const PartitionPlace& place) {
  PendingAppend& append = appends_[appended_++];
  append.work = this;
  append.partition = std::move(partition);
  append.producer = producer;
  append.topic = static_cast<std::uint32_t>(place.topic);
  append.index = static_cast<std::uint32_t>(place.partition);
  ++waiting_;
  append.partition->await(outcome, acks_, append);
}

void LateProduce::note_refused(const PendingAppend& append) {
  const log::PartitionLog& log = append.partition->log();
  client_.produce_order().refuse({log.topic_name(), log.key().partition, append.producer}, append.error);
}

void LateProduce::add_ordered(const ProduceOrder::Batch& batch, NodeId leader, const PartitionPlace& place) {
  client_.produce_order().start(batch, leader);
  ordered_.push_back({std::string(batch.topic), batch.partition, batch.producer, leader, place});
}

void LateProduce::note_unknown(NodeId leader) {
  for (const Ordered& sent : ordered_) {
    if (sent.leader == leader) {
      client_.produce_order().refuse(sent.batch(), ErrorCode::kRequestTimedOut);
    }
  }
}

// Whether something that goes to that leader is behind what was refused since it was looked at.
bool LateProduce::is_behind(NodeId leader) {
  return std::any_of(ordered_.begin(), ordered_.end(), [this, leader](const Ordered& next) {
    return next.leader == leader && client_.produce_order().check(next.batch()) != ErrorCode::kNone;
  });
}

void LateProduce::end_ordered(const ProduceResponse& response) {
  ProduceOrder& order = client_.produce_order();
  for (const Ordered& sent : ordered_) {
    order.end(sent.batch());
    const ErrorCode error = response.responses[sent.place.topic].partition_responses[sent.place.partition].error_code;
    order.refuse(sent.batch(), error);
  }
  ordered_.clear();
}

// Whoever of its partitions has not passed yet.
void LateProduce::add_wait(MonotonicTime now, std::vector<fiber::FiberWait>& into) const {
  fiber::FiberWait wait;
  for (std::size_t i = 0; i < appended_; ++i) {
    if (appends_[i].linked()) {
      wait.keys.push_back(appends_[i].partition->await_key(acks_, appends_[i].awaited()));
      wait.detail += (wait.detail.empty() ? "" : "; ") + appends_[i].partition->describe_await(acks_);
    }
  }
  for (const std::unique_ptr<ForwardedProduce>& call : forwarded_) {
    if (call->under_way()) {
      wait.keys.push_back(call->key());
      wait.detail += (wait.detail.empty() ? "" : "; ") + call->describe_wait();
    }
  }
  if (wait.keys.empty()) {
    return;  // still being appended, or about to be answered
  }
  wait.path = fmt::format("Produce {} of {}", correlation_id_.value(), client_.peer().to_string());
  wait.waiting = true;
  wait.meaning = Expiry::kPeer;
  wait.waited = now - received_;
  wait.left = ends_ - now;
  wait.provides = {key_};
  into.push_back(std::move(wait));
}

Status LateProduce::prepare(const ProduceResponse& response) {
  ASSIGN_OR_RETURN(protocol::Frame frame,
                   protocol::encode_response(correlation_id_, response, version_, answer_.bytes_max()));
  answer_.prepare(std::move(frame));
  return ok();
}

bool LateProduce::answer(const ProduceResponse& response, bool all_appended) {
  all_appended_ = all_appended;
  protocol::note_errors(response);
  const Status prepared = prepare(response);
  if (!prepared.ok()) {
    broker_.metrics().finish_produce(false, fiber::Scheduler::current().now() - received_);
    answer_.refuse(prepared);
  }
  return prepared.ok();
}

void LateProduce::forward(ForwardParts<ProduceRequest>& parts, ClientConnection& client, Duration timeout) {
  const Duration left = timeout - (fiber::Scheduler::current().now() - received_);
  for (ForwardPart<ProduceRequest>& part : parts.all()) {
    ForwardedProduce& call = *forwarded_.emplace_back(std::make_unique<ForwardedProduce>(*this, part));
    part.request.timeout_ms = static_cast<std::int32_t>(std::max<std::int64_t>(left.milliseconds(), 1));
    ForwardPin* pin = broker_.forwarding()->pinned(client, part.leader);
    const Status sent = pin == nullptr || is_behind(part.leader) || sim_fails("forward.before_send")
                            ? absl::FailedPreconditionError("the leader cannot be reached")
                            : call.start(pin->link(), part.request, version_);
    broker_.metrics().produce_forwards.add();
    if (sent.ok()) {
      ++waiting_;
    } else {
      broker_.metrics().forward_errors.add();
      call.fail(sent);
    }
  }
}

void LateProduce::note_forwarded(bool answered) {
  if (answered) {
    broker_.metrics().produce_forward_duration.record(fiber::Scheduler::current().now() - received_);
  } else {
    broker_.metrics().forward_errors.add();
  }
  settle_one();
}

void ForwardedProduce::fail(const Status& why) {
  answer_ = why;
  work_.note_unknown(leader_);
}

void ForwardedProduce::on_forwarded(StatusOr<Slice> body) {
  const bool answered = body.ok();
  if (answered) {
    answer_ = std::move(body);
  } else {
    fail(body.status());
  }
  work_.note_forwarded(answered);
}

bool ForwardedProduce::tell(ProduceResponse& response, std::int16_t version) const {
  StatusOr<ProduceResponse> answer =
      answer_.ok() ? protocol::decode<ProduceResponse>(*answer_, version) : StatusOr<ProduceResponse>(answer_.status());
  const Status status = answer.status();
  if (!status.ok() || !merge_part(*std::move(answer), places_, response)) {
    // What may have been appended is not called refused.
    fail_part(status.ok() ? ErrorCode::kRequestTimedOut : error_of_forward(status), places_, response);
  }
  return std::all_of(places_.begin(), places_.end(), [&response](const PartitionPlace& place) {
    return response.responses[place.topic].partition_responses[place.partition].error_code == ErrorCode::kNone;
  });
}

void LateProduce::wait(Duration timeout) {
  fiber::Scheduler& scheduler = fiber::Scheduler::current();
  ends_ = scheduler.now() + timeout;
  scheduler.arm(*this, ends_);
  settle_one();
}

void LateProduce::settle_one() {
  if (waiting_ > 0 && --waiting_ == 0) {
    answer_.ready();
  }
}

void LateProduce::on_timer() {
  waiting_ = 0;
  answer_.ready();
}

void LateProduce::give() {
  // What other leaders say is not in the prepared answer.
  bool acknowledged =
      forwarded_.empty() && std::all_of(appends_.begin(), appends_.begin() + static_cast<std::ptrdiff_t>(appended_),
                                        [](const PendingAppend& append) { return append.error == ErrorCode::kNone; });
  Status corrected = ok();
  if (!acknowledged) {
    const StatusOr<bool> all = correct();
    corrected = all.status();
    acknowledged = all.ok() && *all;
  }
  broker_.metrics().finish_produce(all_appended_ && acknowledged, fiber::Scheduler::current().now() - received_);
  return corrected.ok() ? answer_.send_prepared() : answer_.refuse(corrected);
}

// Reads the answer that was meant for success, and writes what has become of it. False: not all was acknowledged. How
// large it is, and so whether it can be read, is up to the client.
StatusOr<bool> LateProduce::correct() {
  ASSIGN_OR_RETURN(const protocol::ReceivedResponse meant,
                   protocol::decode_response_header(answer_.prepared().flat().from(protocol::kFrameLengthBytes),
                                                    protocol::ApiKey::kProduce, version_));
  ASSIGN_OR_RETURN(ProduceResponse response, protocol::decode<ProduceResponse>(meant.body, version_));
  bool acknowledged = true;
  for (std::size_t i = 0; i < appended_; ++i) {
    const PendingAppend& append = appends_[i];
    if (append.error != ErrorCode::kNone) {
      protocol::note_error(protocol::ApiKey::kProduce, append.error);
      auto& answer = response.responses[append.topic].partition_responses[append.index];
      answer.error_code = append.error;
      answer.base_offset = Offset::none();
      acknowledged = false;
    }
  }
  for (const std::unique_ptr<ForwardedProduce>& forwarded : forwarded_) {
    acknowledged &= forwarded->tell(response, version_);
  }
  end_ordered(response);
  name_leaders(broker_, client_, response);
  RETURN_IF_ERROR(prepare(response));
  return acknowledged;
}

}  // namespace chronik::broker
