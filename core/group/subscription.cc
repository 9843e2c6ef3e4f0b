#include "core/group/subscription.h"

#include <vector>

#include "core/protocol/message.h"
#include "core/protocol/reader.h"

namespace chronik::group {

namespace {

// The front of Kafka's ConsumerProtocolSubscription, alike in all its versions.
struct SubscriptionFront {
  std::int16_t version = 0;
  std::vector<std::string> topics;
  static void fields(auto& op, auto& m) {
    op.field("Version", protocol::since(0), m.version);
    op.field("Topics", protocol::since(0), m.topics);
  }
};

}  // namespace

absl::btree_set<std::string> subscribed_topics(const Group& group) {
  absl::btree_set<std::string> topics;
  if (group.protocol_type() != kConsumerProtocol) {
    return topics;
  }
  for (const auto& [id, member] : group.members()) {
    const Bytes* metadata = member.metadata_for(group.protocol());
    if (metadata == nullptr) {
      continue;
    }
    const Slice bytes = Slice::copy_of(*metadata);
    protocol::Reader reader(bytes, 0, /*flexible=*/false);
    SubscriptionFront front;
    reader.structure(front);
    if (reader.status("a subscription").ok()) {
      topics.insert(front.topics.begin(), front.topics.end());
    }
  }
  return topics;
}

}  // namespace chronik::group
