#include "core/cluster/metadata.h"

#include <fmt/core.h>

#include <vector>

#include "core/base/codec.h"
#include "core/base/log_line.h"
#include "core/base/observer.h"
#include "core/base/sim_point.h"
#include "core/cluster/apply.h"
#include "core/cluster/snapshot.h"

namespace chronik::cluster {

namespace {

constexpr Duration kForwardAgain = Duration::seconds(1);
constexpr Duration kAskAgain = Duration::milliseconds(50);  // the leader that is known, whether it still is one

WaitKey index_key(LogIndex index) {
  return {WaitKind::kMetadataIndex, static_cast<std::uint64_t>(index.value()), 0, 0};
}

}  // namespace

// In the list of the waiting for as long as it lives, however its fiber leaves.
class Metadata::Enlisted {
 public:
  Enlisted(Metadata& metadata, std::int64_t sequence, Waiting& waiting) : metadata_(metadata), sequence_(sequence) {
    metadata_.waiting_.emplace(sequence, &waiting);
  }
  ~Enlisted() { metadata_.waiting_.erase(sequence_); }
  Enlisted(const Enlisted&) = delete;
  Enlisted& operator=(const Enlisted&) = delete;

 private:
  Metadata& metadata_;
  std::int64_t sequence_;
};

Metadata::Metadata(const ClusterId& cluster, NodeId self, const IncarnationId& incarnation,
                   const MetadataPatience& patience)
    : self_(self), incarnation_(incarnation), patience_(patience), image_(empty_image(cluster)) {
  CHECK(!incarnation.is_zero());
}

Metadata::~Metadata() {
  CHECK(waiting_.empty());
  listeners_.for_each([](MetadataListener& listener) { listener.unlink(); });
}

void Metadata::attach(raft::Consensus& consensus) {
  CHECK(consensus_ == nullptr);
  consensus_ = &consensus;
}

raft::Leadership Metadata::leadership() const {
  CHECK(consensus_ != nullptr);
  return consensus_->leadership();
}

Deadline Metadata::proposal_deadline(const Deadline& deadline) const {
  return deadline.no_later_than(fiber::Scheduler::current().now() + patience_.proposal, deadline.meaning());
}

StatusOr<CommandResult> Metadata::propose(const CommandBody& body, const Deadline& deadline) {
  const MonotonicTime began = fiber::Scheduler::current().now();
  const Deadline patience = proposal_deadline(deadline);
  for (;;) {
    StatusOr<CommandResult> result = propose_once(body, /*here_only=*/false, patience);
    // It was lost on its way to a leader, and a later one was not: under its number it can never be applied.
    if (result.ok() && result->whole.error == ErrorCode::kOperationNotAttempted) {
      continue;
    }
    if (result.ok()) {
      propose_duration_.record(fiber::Scheduler::current().now() - began);
    }
    return result;
  }
}

StatusOr<CommandResult> Metadata::propose_as_leader(const CommandBody& body, const Deadline& deadline) {
  if (!leadership().here) {
    return absl::UnknownError("this node does not lead");
  }
  return propose_once(body, /*here_only=*/true, proposal_deadline(deadline));
}

void Metadata::register_metrics(MetricsRegistry& registry) const {
  registry.add("raft_propose_duration", "From a change of metadata proposed here to its being applied here",
               propose_duration_, MetricsRegistry::Unit::kSeconds);
}

StatusOr<CommandResult> Metadata::propose_once(const CommandBody& body, bool here_only, const Deadline& deadline) {
  CHECK(consensus_ != nullptr);
  if (waiting_.size() >= kResultsKept) {
    return absl::ResourceExhaustedError("too many metadata proposals are under way");
  }
  const Command command{.proposal = {self_, incarnation_, next_sequence_++}, .body = body};
  Waiting waiting;
  waiting.command = Slice::copy_of(encode_command(command));
  waiting.here_only = here_only;
  const Enlisted enlisted(*this, command.proposal.sequence, waiting);
  // No suspension before: sequences go into the log in ascending order (rule R17).
  RETURN_IF_ERROR(hand_in(waiting));
  while (waiting.end == Waiting::End::kOpen) {
    const MonotonicTime again = fiber::Scheduler::current().now() + kForwardAgain;
    const bool may_be_lost = waiting.index == LogIndex(0);  // on the way to the leader, or nobody has it yet
    const Deadline patience = may_be_lost ? deadline.no_later_than(again, Expiry::kPeer) : deadline;
    const Status status = waiting.done.wait(index_key(waiting.index), patience);
    if (waiting.end != Waiting::End::kOpen) {
      break;
    }
    if (absl::IsDeadlineExceeded(status) && patience.at() < deadline.at()) {
      RETURN_IF_ERROR(hand_in(waiting));
    } else if (absl::IsDeadlineExceeded(status)) {
      if (!waiting.taken) {
        return absl::DeadlineExceededError(
            fmt::format("no leader of the metadata was found for {}", command_name(command.body)));
      }
      waiting.end = Waiting::End::kUnknown;
    } else if (!status.ok()) {
      return status;
    }
  }
  if (waiting.end == Waiting::End::kUnknown) {
    return absl::UnknownError(fmt::format("whether {} was applied is not known", command_name(command.body)));
  }
  return std::move(waiting.result);
}

Status Metadata::hand_in(Waiting& waiting) {
  const StatusOr<raft::Proposed> proposed = consensus_->propose(waiting.command);
  if (proposed.ok()) {
    waiting.index = proposed->index;
    waiting.taken = true;
    return ok();
  }
  const bool no_leader = absl::IsFailedPrecondition(proposed.status()) || absl::IsUnavailable(proposed.status());
  return no_leader || waiting.taken ? ok() : proposed.status();
}

void Metadata::on_leadership(const raft::Leadership& leadership) {
  leadership_changed_.notify_all();
  if (controller_ != nullptr) {
    controller_->on_leadership(leadership, leader_, consensus_->last_heard(leader_));
  }
  listeners_.for_each([&leadership](MetadataListener& listener) { listener.on_leader(leadership.leader); });
  if (leadership.leader == NodeId::none()) {
    return;
  }
  leader_ = leadership.leader;
  for (const auto& [sequence, waiting] : waiting_) {
    if (waiting->end != Waiting::End::kOpen) {
      continue;
    }
    if (waiting->here_only && !leadership.here) {
      waiting->end = Waiting::End::kUnknown;
      waiting->done.notify_all();
      continue;
    }
    if (!hand_in(*waiting).ok()) {
      log_warn("metadata proposal refused by a new leader", field("sequence", sequence));
    }
    waiting->done.notify_all();  // how long it waits before it asks again depends on who has it
  }
}

Status Metadata::read_barrier(const Deadline& deadline) {
  CHECK(consensus_ != nullptr);
  ASSIGN_OR_RETURN(const LogIndex index, consensus_->read_barrier(deadline));
  return wait_applied(index, deadline);
}

Status Metadata::catch_up(const Deadline& deadline) {
  for (;;) {
    Status status = read_barrier(deadline);
    if (!absl::IsFailedPrecondition(status) && !absl::IsUnavailable(status)) {
      return status;
    }
    const Duration pause = leadership().leader == NodeId::none() ? kForwardAgain : kAskAgain;
    const MonotonicTime again = fiber::Scheduler::current().now() + pause;
    const Status waited =
        leadership_changed_.wait(index_key(image_->applied.next()), deadline.no_later_than(again, Expiry::kNormal));
    if (!absl::IsDeadlineExceeded(waited) || deadline.at() <= again) {
      RETURN_IF_ERROR(waited);
    }
  }
}

Status Metadata::wait_applied(LogIndex index, const Deadline& deadline) {
  const Deadline patience =
      deadline.no_later_than(fiber::Scheduler::current().now() + patience_.apply, deadline.meaning());
  while (image_->applied < index) {
    RETURN_IF_ERROR(published_.wait(index_key(index), patience));
  }
  return ok();
}

Status Metadata::apply(std::span<const raft::Entry> entries) {
  // All are applied before any is published or answered, so that an answer never comes ahead of its image.
  struct Done {
    ProposalId proposal;
    CommandResult result;
  };
  std::vector<Done> done;
  ImageRef next = image_;
  for (const raft::Entry& entry : entries) {
    CHECK_EQ(entry.index, next->applied.next());
    if (entry.kind != raft::EntryKind::kCommand) {
      Image same = *next;
      same.applied = entry.index;
      next = ImageRef::make(same);
      continue;
    }
    ASSIGN_OR_RETURN(const Command command, decode_command(entry.data.bytes()));
    Applied applied = cluster::apply(next, entry.index, command);
    next = std::move(applied.image);
    done.push_back({.proposal = command.proposal, .result = std::move(applied.result)});
  }
  publish(next);
  sim_point("cluster.before_settle");
  for (const Done& one : done) {
    settle(one.proposal, one.result);
  }
  return ok();
}

void Metadata::publish(const ImageRef& next) {
  const Delta delta = difference(image_, next);
  sim_point("cluster.before_publish");
  image_ = next;
  if (Observer* o = observer()) {
    o->on_metadata_applied(image_->applied);
  }
  listeners_.for_each([&delta](MetadataListener& listener) { listener.on_metadata(delta); });
  published_.notify_all();
}

void Metadata::settle(const ProposalId& proposal, const CommandResult& result) {
  if (proposal.node != self_ || proposal.incarnation != incarnation_) {
    return;
  }
  const auto found = waiting_.find(proposal.sequence);
  if (found == waiting_.end() || found->second->end != Waiting::End::kOpen) {
    return;
  }
  found->second->result = result;
  found->second->end = Waiting::End::kApplied;
  found->second->done.notify_all();
}

// The image came whole: what became of the proposals stands in it.
void Metadata::settle_by_image() {
  const Proposer* self = image_->proposers.find(self_);
  if (self == nullptr || self->incarnation != incarnation_) {
    return;
  }
  for (const auto& [sequence, waiting] : waiting_) {
    if (sequence > self->last_sequence || waiting->end != Waiting::End::kOpen) {
      continue;
    }
    const AppliedProposal* applied = self->results.find(sequence);
    waiting->end = applied == nullptr ? Waiting::End::kUnknown : Waiting::End::kApplied;
    waiting->result = applied == nullptr ? CommandResult{} : applied->kept->result;
    waiting->done.notify_all();
  }
}

Status Metadata::check_command(NodeId from, ByteSpan command) const {
  ASSIGN_OR_RETURN(const Command decoded, decode_command(command));
  const ProposalId& id = decoded.proposal;
  if (id.node != from || id.node < NodeId(0) || id.sequence < 0 || id.incarnation.is_zero()) {
    return absl::InvalidArgumentError("a metadata command that its proposer cannot have made");
  }
  return ok();
}

BrokerEpoch Metadata::broker_epoch() const {
  const Broker* self = image_->find_broker(self_);
  return self == nullptr || self->incarnation != incarnation_ ? BrokerEpoch::none() : self->epoch;
}

SignOfLife Metadata::sign_of_life() const {
  return {.epoch = broker_epoch(), .leaving = leaving_, .stuck = disk_ != nullptr && disk_->disk_is_stuck()};
}

std::optional<raft::KnownStart> Metadata::known_start(const raft::Member& member) const {
  const Broker* known = image_->find_broker(member.node);
  return known != nullptr && known->directory == member.directory
             ? std::optional<raft::KnownStart>({known->start_counter, known->incarnation})
             : std::nullopt;
}

std::string Metadata::own_sign_of_life() const { return encode_sign(sign_of_life()); }

void Metadata::on_sign_of_life(NodeId from, ByteSpan bytes) {
  const std::optional<SignOfLife> sign = decode_sign(bytes);
  if (controller_ != nullptr && sign.has_value()) {
    controller_->on_sign_of_life(from, *sign);
  }
}

void Metadata::on_node_gone(NodeId node) {
  if (controller_ != nullptr) {
    controller_->on_node_gone(node);
  }
}

std::string Metadata::take_snapshot() { return encode_snapshot(*image_); }

Status Metadata::install_snapshot(LogIndex last, ByteSpan bytes) {
  ASSIGN_OR_RETURN(const ImageRef next, decode_snapshot(bytes));
  if (next->cluster != image_->cluster) {
    return absl::DataLossError(fmt::format("a metadata snapshot of cluster {} in a directory of cluster {}",
                                           next->cluster.to_string(), image_->cluster.to_string()));
  }
  if (next->applied != last) {
    return absl::DataLossError(fmt::format("a metadata snapshot of index {} is kept as {}", next->applied, last));
  }
  CHECK_LT(image_->applied, last);
  publish(next);
  settle_by_image();
  return ok();
}

}  // namespace chronik::cluster
