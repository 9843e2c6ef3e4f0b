#include "core/broker/producer_ids.h"

#include <optional>

namespace chronik::broker {

namespace {
constexpr std::int32_t kProducerIdBlock = 1000;
}  // namespace

StatusOr<ProducerId> ProducerIds::allocate(const Deadline& deadline) {
  if (next_ == end_) {
    // Whoever comes while a block is being fetched waits for that one.
    std::optional<fiber::Turnstile::Pass> pass;
    RETURN_IF_ERROR(turnstile_.enter(pass, deadline));
    if (next_ == end_) {
      ASSIGN_OR_RETURN(const cluster::CommandResult block,
                       metadata_.propose(cluster::AllocateProducerIds{.count = kProducerIdBlock}, deadline));
      if (!block.whole.ok()) {
        return absl::InternalError(block.whole.message);
      }
      next_ = block.value;
      end_ = block.value + kProducerIdBlock;
    }
  }
  return ProducerId(next_++);
}

}  // namespace chronik::broker
