#include "core/raft/membership_codec.h"

#include <algorithm>

#include "core/base/codec.h"

namespace chronik::raft {

namespace {

constexpr std::size_t kMembersMax = 1000;

bool ascends(const std::vector<Member>& members) {
  const auto out_of_order = [](const Member& a, const Member& b) { return !(a < b); };
  return members.size() <= kMembersMax &&
         std::adjacent_find(members.begin(), members.end(), out_of_order) == members.end();
}

bool addresses_are_sound(const Membership& membership) {
  const auto out_of_order = [](const MemberAddress& a, const MemberAddress& b) { return a.node >= b.node; };
  const auto is_usable = [&](const MemberAddress& at) {
    return membership.find(at.node) != nullptr && !at.host.empty() && at.port != 0;
  };
  const std::vector<MemberAddress>& all = membership.addresses;
  return std::adjacent_find(all.begin(), all.end(), out_of_order) == all.end() &&
         std::all_of(all.begin(), all.end(), is_usable);
}

}  // namespace

bool is_sound(const Membership& membership) {
  const auto is_voting_node = [&](const Member& learner) {
    return std::any_of(membership.voters.begin(), membership.voters.end(),
                       [&](const Member& voter) { return voter.node == learner.node; });
  };
  return !membership.voters.empty() && ascends(membership.voters) && ascends(membership.learners) &&
         std::none_of(membership.learners.begin(), membership.learners.end(), is_voting_node) &&
         addresses_are_sound(membership);
}

std::string encode_membership(const Membership& membership) {
  Writer writer;
  writer(membership.voters);
  writer(membership.learners);
  if (!membership.addresses.empty()) {
    writer(membership.addresses);
  }
  return writer.take();
}

StatusOr<Membership> decode_membership(ByteSpan bytes) {
  Membership membership;
  Reader reader(bytes);
  reader(membership.voters);
  reader(membership.learners);
  const bool has_addresses = reader.ok() && !reader.complete();
  if (has_addresses) {
    reader(membership.addresses);
  }
  if (has_addresses == membership.addresses.empty() || !reader.complete() || !is_sound(membership)) {
    return absl::DataLossError("a membership cannot be decoded");
  }
  return membership;
}

}  // namespace chronik::raft
