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

}  // namespace

bool is_sound(const Membership& membership) { return ascends(membership.voters) && ascends(membership.learners); }

std::string encode_membership(const Membership& membership) {
  Writer writer;
  writer(membership);
  return writer.take();
}

StatusOr<Membership> decode_membership(ByteSpan bytes) {
  Membership membership;
  Reader reader(bytes);
  reader(membership);
  if (!reader.complete() || !is_sound(membership)) {
    return absl::DataLossError("a membership cannot be decoded");
  }
  return membership;
}

}  // namespace chronik::raft
