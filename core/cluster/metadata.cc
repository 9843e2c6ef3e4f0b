#include "core/cluster/metadata.h"

#include <fmt/core.h>

#include <vector>

#include "core/cluster/apply.h"
#include "core/cluster/snapshot.h"

namespace chronik::cluster {

namespace {

WaitKey index_key(LogIndex index) {
  return {WaitKind::kMetadataIndex, static_cast<std::uint64_t>(index.value()), 0, 0};
}

}  // namespace

// In the list of the waiting for as long as it lives, however its fiber leaves.
class Metadata::Enlisted {
 public:
  Enlisted(Metadata& metadata, LogIndex index, Waiting& waiting) : metadata_(metadata), index_(index) {
    const bool alone = metadata_.waiting_.emplace(index, &waiting).second;
    CHECK(alone);
  }
  ~Enlisted() { metadata_.waiting_.erase(index_); }
  Enlisted(const Enlisted&) = delete;
  Enlisted& operator=(const Enlisted&) = delete;

 private:
  Metadata& metadata_;
  LogIndex index_;
};

Metadata::Metadata(const ClusterId& cluster, NodeId self, const IncarnationId& incarnation)
    : self_(self), incarnation_(incarnation), image_(empty_image(cluster)) {
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

StatusOr<CommandResult> Metadata::propose(CommandBody body, const Deadline& deadline) {
  CHECK(consensus_ != nullptr);
  if (waiting_.size() >= kResultsKept) {
    return absl::ResourceExhaustedError("too many metadata proposals are under way");
  }
  // No suspension between the two: sequences go into the log in ascending order (rule R17).
  const Command command{.proposal = {self_, incarnation_, next_sequence_++}, .body = std::move(body)};
  ASSIGN_OR_RETURN(const raft::Proposed proposed, consensus_->propose(Slice::copy_of(encode_command(command))));
  CHECK_LT(image_->applied, proposed.index);
  Waiting waiting;
  waiting.term = proposed.term;
  const Enlisted enlisted(*this, proposed.index, waiting);
  while (waiting.end == Waiting::End::kOpen) {
    const Status status = waiting.done.wait(index_key(proposed.index), deadline);
    if (waiting.end != Waiting::End::kOpen) {
      break;
    }
    if (absl::IsDeadlineExceeded(status)) {
      waiting.end = Waiting::End::kUnknown;
    } else if (!status.ok()) {
      return status;
    }
  }
  if (waiting.end == Waiting::End::kLost) {
    return absl::FailedPreconditionError(
        fmt::format("{} lost its place in the metadata log", command_name(command.body)));
  }
  if (waiting.end == Waiting::End::kUnknown) {
    return absl::UnknownError(fmt::format("whether {} was applied is not known", command_name(command.body)));
  }
  return std::move(waiting.result);
}

Status Metadata::read_barrier(const Deadline& deadline) {
  CHECK(consensus_ != nullptr);
  ASSIGN_OR_RETURN(const LogIndex index, consensus_->read_barrier(deadline));
  return wait_applied(index, deadline);
}

Status Metadata::wait_applied(LogIndex index, const Deadline& deadline) {
  while (image_->applied < index) {
    RETURN_IF_ERROR(published_.wait(index_key(index), deadline));
  }
  return ok();
}

Status Metadata::apply(std::span<const raft::Entry> entries) {
  // All are applied before any is published or answered, so that an answer never comes ahead of its image.
  struct Done {
    const raft::Entry* entry;
    ProposalId proposal;
    CommandResult result;
  };
  std::vector<Done> done;
  ImageRef next = image_;
  for (const raft::Entry& entry : entries) {
    CHECK_EQ(entry.index, next->applied.next());
    if (entry.data.empty()) {
      Image same = *next;
      same.applied = entry.index;
      next = ImageRef::make(same);
      done.push_back({.entry = &entry, .proposal = {}, .result = {}});
      continue;
    }
    ASSIGN_OR_RETURN(const Command command, decode_command(entry.data.bytes()));
    Applied applied = cluster::apply(next, entry.index, command);
    next = std::move(applied.image);
    done.push_back({.entry = &entry, .proposal = command.proposal, .result = std::move(applied.result)});
  }
  publish(next);
  for (const Done& one : done) {
    settle(*one.entry, one.proposal, one.result);
  }
  return ok();
}

void Metadata::publish(const ImageRef& next) {
  const Delta delta = difference(image_, next);
  image_ = next;
  listeners_.for_each([&delta](MetadataListener& listener) { listener.on_metadata(delta); });
  published_.notify_all();
}

void Metadata::settle(const raft::Entry& entry, const ProposalId& proposal, const CommandResult& result) {
  const auto found = waiting_.find(entry.index);
  if (found == waiting_.end()) {
    return;
  }
  Waiting& waiting = *found->second;
  if (entry.term == waiting.term) {
    CHECK_EQ(proposal.node, self_);
    waiting.result = result;
    waiting.end = Waiting::End::kApplied;
  } else {
    waiting.end = Waiting::End::kLost;
  }
  waiting.done.notify_all();
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
  for (const auto& [index, waiting] : waiting_) {
    if (index <= last) {
      waiting->end = Waiting::End::kUnknown;
      waiting->done.notify_all();
    }
  }
  return ok();
}

}  // namespace chronik::cluster
