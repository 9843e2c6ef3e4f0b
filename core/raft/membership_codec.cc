#include "core/raft/membership_codec.h"

#include <algorithm>
#include <cstring>

#include "core/base/endian.h"

namespace chronik::raft {

namespace {

constexpr std::size_t kMemberBytes = 4 + 16;
constexpr std::size_t kMembersMax = 1000;

void put_members(std::string& bytes, const std::vector<Member>& members) {
  std::array<std::uint8_t, kMemberBytes> member{};
  store_little(member.data(), static_cast<std::uint32_t>(members.size()));
  bytes.append(as_text(ByteSpan(member).first(4)));
  for (const Member& each : members) {
    store_little(member.data(), each.node.value());
    std::copy(each.directory.bytes.begin(), each.directory.bytes.end(), member.begin() + 4);
    bytes.append(as_text(member));
  }
}

bool take_members(ByteSpan& bytes, std::vector<Member>& members) {
  if (bytes.size() < 4) {
    return false;
  }
  const auto count = load_little<std::uint32_t>(bytes.data());
  bytes = bytes.subspan(4);
  if (count > kMembersMax || bytes.size() < count * kMemberBytes) {
    return false;
  }
  for (std::uint32_t i = 0; i < count; ++i, bytes = bytes.subspan(kMemberBytes)) {
    Member member{.node = NodeId(load_little<std::int32_t>(bytes.data())), .directory = {}};
    std::copy_n(bytes.data() + 4, member.directory.bytes.size(), member.directory.bytes.begin());
    if (!members.empty() && !(members.back() < member)) {
      return false;
    }
    members.push_back(member);
  }
  return true;
}

}  // namespace

std::string encode_membership(const Membership& membership) {
  std::string bytes;
  put_members(bytes, membership.voters);
  put_members(bytes, membership.learners);
  return bytes;
}

StatusOr<Membership> decode_membership(ByteSpan bytes) {
  Membership membership;
  if (!take_members(bytes, membership.voters) || !take_members(bytes, membership.learners) || !bytes.empty()) {
    return absl::DataLossError("a membership cannot be decoded");
  }
  return membership;
}

}  // namespace chronik::raft
