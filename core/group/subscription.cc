#include "core/group/subscription.h"

#include "core/base/endian.h"

namespace chronik::group {

namespace {

// Big-endian numbers and strings at the front of what is left; false: it ends before.
class SubscriptionReader {
 public:
  explicit SubscriptionReader(std::string_view bytes) : left_(bytes) {}

  template <typename T>
  bool number(T& into) {
    if (left_.size() < sizeof(T)) {
      return false;
    }
    into = load_big<T>(reinterpret_cast<const std::uint8_t*>(left_.data()));
    left_.remove_prefix(sizeof(T));
    return true;
  }
  bool text(std::string& into) {
    std::int16_t length = 0;
    if (!number(length) || length < 0 || left_.size() < static_cast<std::size_t>(length)) {
      return false;
    }
    into.assign(left_.substr(0, static_cast<std::size_t>(length)));
    left_.remove_prefix(static_cast<std::size_t>(length));
    return true;
  }

 private:
  std::string_view left_;
};

}  // namespace

absl::btree_set<std::string> subscribed_topics(const Group& group) {
  absl::btree_set<std::string> topics;
  if (group.protocol_type() != kConsumerProtocol) {
    return topics;
  }
  for (const auto& [id, member] : group.members()) {
    const Bytes* metadata = member.metadata_for(group.protocol());
    SubscriptionReader reader(metadata == nullptr ? std::string_view() : std::string_view(*metadata));
    std::int16_t version = 0;
    std::int32_t count = 0;
    std::string topic;
    if (!reader.number(version) || !reader.number(count)) {
      continue;
    }
    for (std::int32_t i = 0; i < count && reader.text(topic); ++i) {
      topics.insert(topic);
    }
  }
  return topics;
}

}  // namespace chronik::group
