#include "core/raft/message.h"

#include <fmt/core.h>

namespace chronik::raft {

namespace {

struct Describe {
  std::string operator()(const VoteRequest& request) const {
    return fmt::format("{}{} last={}/{}", request.pre_vote ? "pre-vote?" : "vote?", request.transfer ? " transfer" : "",
                       request.last.value(), request.last_term.value());
  }
  std::string operator()(const VoteResponse& response) const {
    return fmt::format("{} {}", response.pre_vote ? "pre-vote" : "vote", response.granted ? "granted" : "refused");
  }
  std::string operator()(const AppendRequest& request) const {
    std::string text = fmt::format("append previous={}/{} commit={} round={}", request.previous.value(),
                                   request.previous_term.value(), request.commit.value(), request.round);
    for (const Entry& entry : request.entries) {
      text += fmt::format(" [{}]", describe(entry));
    }
    return text;
  }
  std::string operator()(const AppendResponse& response) const {
    return response.accepted ? fmt::format("appended agreed={} match={} round={}", response.agreed.value(),
                                           response.match.value(), response.round)
                             : fmt::format("refused previous={} hint={}/{} round={}", response.previous.value(),
                                           response.hint.value(), response.hint_term.value(), response.round);
  }
  std::string operator()(const SnapshotRequest& request) const {
    return fmt::format("snapshot last={}/{} bytes={}+{} of {} round={}", request.last.value(),
                       request.last_term.value(), request.offset, request.bytes.size(), request.size, request.round);
  }
  std::string operator()(const SnapshotResponse& response) const {
    return fmt::format("received last={} next={} round={}", response.last.value(), response.next, response.round);
  }
  std::string operator()(const TimeoutNow&) const { return "timeout-now"; }
};

}  // namespace

std::string describe(const Entry& entry) {
  std::string at = fmt::format("{}/{}", entry.index.value(), entry.term.value());
  switch (entry.kind) {
    case EntryKind::kCommand: return at + " " + std::string(as_text(entry.data.bytes()));
    case EntryKind::kNothing: return at;
    case EntryKind::kMembership: return at + " membership";
  }
  return at + " of an unknown kind";
}

std::string describe(const Message& message) {
  return fmt::format("{}->{} term={} {}", message.from.node.value(), message.to.node.value(), message.term.value(),
                     std::visit(Describe{}, message.body));
}

}  // namespace chronik::raft
