#include "tests/core/raft/raft_group.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "core/base/mix.h"

namespace chronik::raft::testing {

namespace {

const char* role_name(Role role) {
  switch (role) {
    case Role::kFollower: return "follower";
    case Role::kPreCandidate: return "pre-candidate";
    case Role::kCandidate: return "candidate";
    case Role::kLeader: return "leader";
  }
  return "?";
}

void write_to(StoredRaft& disk, const Persist& persist) {
  if (persist.hard.has_value()) {
    disk.hard = *persist.hard;
  }
  if (persist.snapshot.has_value()) {
    disk.snapshot = *persist.snapshot;
    disk.entries.clear();
  }
  if (!persist.entries.empty()) {
    std::erase_if(disk.entries, [&](const Entry& old) { return old.index >= persist.entries.front().index; });
    disk.entries.insert(disk.entries.end(), persist.entries.begin(), persist.entries.end());
  }
}

}  // namespace

Group::Group(std::int32_t voters, const RaftOptions& options, std::uint64_t seed, Told told)
    : options_(options), seed_(seed), told_(std::move(told)) {
  Membership membership;
  for (std::int32_t node = 1; node <= voters; ++node) {
    membership.voters.push_back(member(node));
  }
  for (std::int32_t node = 1; node <= voters; ++node) {
    add_seat(node, membership);
  }
}

void Group::add_seat(std::int32_t node, const Membership& membership) {
  Seat seat{.self = member(node)};
  seat.disk.hard.term = Term(0);
  seat.disk.snapshot = {.last = LogIndex(0), .last_term = Term(0), .membership = membership, .state = Slice()};
  boot(seats_.emplace(node, std::move(seat)).first->second);
}

void Group::replace_disk(std::int32_t node) {
  crash(node);
  seats_.erase(node);
  const Member self = member(node, ++disks_);
  Seat seat{.self = self};
  seat.disk.hard.term = Term(0);
  boot(seats_.emplace(node, std::move(seat)).first->second);
}

void Group::boot(Seat& seat) {
  RaftOptions options = options_;
  options.self = seat.self;
  options.seed = mix(seed_, ++boots_);
  seat.raft = std::make_unique<Raft>(options, seat.disk, now_);
  seat.state = std::string(as_text(seat.disk.snapshot.state.bytes()));
  seat.applied = seat.disk.snapshot.last;
}

std::optional<std::int32_t> Group::leader() const {
  std::optional<std::int32_t> found;
  Term term(-1);
  for (const auto& [node, seat] : seats_) {
    if (seat.raft && seat.raft->role() == Role::kLeader && seat.raft->term() > term) {
      found = node;
      term = seat.raft->term();
    }
  }
  return found;
}

// ---- what a test does ----

void Group::act(std::int32_t node, const std::function<void(Raft&)>& act) {
  Seat& there = seat(node);
  if (there.raft == nullptr) {
    return;
  }
  const Role before = there.raft->role();
  const Term term = there.raft->term();
  act(*there.raft);
  if (there.raft->role() != before || there.raft->term() != term) {
    tell(fmt::format("{}: {} in term {}", node, role_name(there.raft->role()), there.raft->term().value()));
  }
  take(there);
}

void Group::tick(std::int32_t node) {
  act(node, [this](Raft& raft) { raft.tick(now_); });
}

void Group::propose(std::int32_t node, const std::string& command) {
  act(node, [&](Raft& raft) {
    const StatusOr<Proposed> proposed = raft.propose(Slice::copy_of(command));
    if (!proposed.ok()) {
      tell(fmt::format("{}: {}", node, std::string(proposed.status().message())));
    }
  });
}

void Group::read(std::int32_t node) {
  act(node, [&](Raft& raft) {
    const std::uint64_t context = reads_.size() + 1;
    reads_[context] = committed();
    if (const Status status = raft.read(context); !status.ok()) {
      tell(fmt::format("{}: {}", node, std::string(status.message())));
    }
  });
}

void Group::persist_one(std::int32_t node) {
  Seat& there = seat(node);
  if (there.raft != nullptr && !there.writing.empty()) {
    const Persist persist = std::move(there.writing.front());
    there.writing.pop_front();
    write_to(there.disk, persist);
    act(node, [&](Raft& raft) { raft.persisted(persist.number); });
  }
}

void Group::persist_all(std::int32_t node) {
  while (seat(node).raft != nullptr && !seat(node).writing.empty()) {
    persist_one(node);
  }
}

void Group::deliver(const Message& message) {
  const auto to = seats_.find(message.to.node.value());
  if (to != seats_.end()) {
    act(to->first, [&](Raft& raft) { raft.step(message); });
  }
}

void Group::crash(std::int32_t node) {
  seat(node).raft.reset();
  seat(node).writing.clear();
}

void Group::restart(std::int32_t node) {
  crash(node);
  boot(seat(node));
  take(seat(node));
}

void Group::compact(std::int32_t node, std::uint64_t keep) {
  Seat& there = seat(node);
  if (there.raft == nullptr || !there.writing.empty() || there.applied <= there.raft->log().snapshot_last()) {
    return;
  }
  const RaftLog& log = there.raft->log();
  Snapshot& snapshot = there.disk.snapshot;
  snapshot = {.last = there.applied,
              .last_term = *log.term_at(there.applied),
              .membership = log.membership_at(there.applied),
              .state = Slice::copy_of(there.state)};
  std::erase_if(there.disk.entries, [&](const Entry& entry) { return entry.index <= there.applied; });
  act(node, [&](Raft& raft) { raft.compact(snapshot.last, snapshot.state, keep); });
}

// ---- what comes of it ----

void Group::take(Seat& seat) {
  for (Output output = seat.raft->take_output(); !output.empty(); output = seat.raft->take_output()) {
    if (output.persist.has_value()) {
      seat.writing.push_back(*output.persist);
    }
    for (Message& message : output.messages) {
      tell(raft::describe(message));
      in_flight_.push_back(std::move(message));
    }
    apply(seat, output);
    for (const ReadReady& read : output.reads) {
      tell(fmt::format("{}: read {} {}", seat.self.node.value(), read.context,
                       read.index.has_value() ? fmt::format("at {}", read.index->value()) : "refused"));
      if (read.index.has_value()) {
        EXPECT_GE(*read.index, reads_.at(read.context)) << "a read that does not show what was committed before it";
        ++reads_answered_;
      }
    }
  }
  check(seat);
}

void Group::apply(Seat& seat, const Output& output) {
  if (output.install.has_value()) {
    seat.state = std::string(as_text(output.install->state.bytes()));
    seat.applied = output.install->last;
    ++snapshots_installed_;
    tell(fmt::format("{}: installs {}", seat.self.node.value(), seat.applied.value()));
  }
  for (const Entry& entry : output.committed) {
    EXPECT_EQ(entry.index, seat.applied.next()) << "applied with a gap or twice";
    seat.applied = entry.index;
    seat.state += entry.kind == EntryKind::kCommand ? std::string(as_text(entry.data.bytes())) : "";
    tell(fmt::format("{}: applies {}", seat.self.node.value(), raft::describe(entry)));
    note_committed(entry);
  }
}

// State machine safety.
void Group::note_committed(const Entry& entry) {
  Term newest(0);
  for (const auto& [node, seat] : seats_) {
    newest = seat.raft ? std::max(newest, seat.raft->term()) : newest;
  }
  const Committed seen{entry.term, entry.kind, std::string(as_text(entry.data.bytes())), newest};
  const auto [known, first] = committed_.try_emplace(entry.index, seen);
  EXPECT_TRUE(known->second.term == seen.term && known->second.data == seen.data)
      << "two entries applied at index " << entry.index.value();
}

void Group::check(const Seat& seat) {
  const Raft& raft = *seat.raft;
  for (const std::string& broken : raft.broken_invariants()) {
    ADD_FAILURE() << "member " << seat.self.node.value() << ": not true: " << broken;
  }
  if (raft.role() != Role::kLeader) {
    return;
  }
  const auto [known, first] = leaders_.try_emplace(raft.term(), seat.self);
  EXPECT_EQ(known->second, seat.self) << "two leaders in term " << raft.term().value();
  // Leader completeness: what was committed before its term began is in its log.
  for (const auto& [index, entry] : committed_) {
    if (index > raft.log().snapshot_last() && entry.by < raft.term()) {
      EXPECT_EQ(raft.log().term_at(index), entry.term) << "a leader without committed entry " << index.value();
    }
  }
}

std::string Group::describe(std::int32_t node) const {
  const Seat& seat = seats_.at(node);
  if (seat.raft == nullptr) {
    return fmt::format("{}: down", node);
  }
  const Raft& raft = *seat.raft;
  return fmt::format("{}: {} term={} log={}..{} durable={} commit={} state={}", node, role_name(raft.role()),
                     raft.term().value(), raft.log().snapshot_last().value() + 1, raft.log().last().value(),
                     raft.durable().value(), raft.commit().value(), seat.state);
}

std::string Group::name_of(const Member& member) const {
  const auto seat = seats_.find(member.node.value());
  const bool there = seat != seats_.end() && seat->second.self == member;
  const std::string number = std::to_string(member.node.value());
  return there ? " " + number : " lost(" + number + ")";
}

std::string Group::describe_members(std::int32_t node) const {
  const Seat& seat = seats_.at(node);
  if (seat.raft == nullptr) {
    return fmt::format("{}: down", node);
  }
  const Membership& members = seat.raft->membership();
  std::string text = fmt::format("{}: voters", node);
  for (const Member& voter : members.voters) {
    text += name_of(voter);
  }
  text += members.learners.empty() ? "" : " learners";
  for (const Member& learner : members.learners) {
    text += name_of(learner);
  }
  return text + fmt::format(" as of {}", seat.raft->log().membership_index().value());
}

}  // namespace chronik::raft::testing
