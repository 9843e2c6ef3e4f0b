#include "sim/mailbox.h"

#include <utility>

#include "sim/machine.h"
#include "sim/shard.h"
#include "sim/world.h"

namespace chronik::sim {

class ShardMailbox::Receive : public fiber::PendingOperation {};

ShardMailbox::~ShardMailbox() { CHECK(receiving_ == nullptr); }

bool ShardMailbox::try_send(ShardId to, std::unique_ptr<MailboxMessage>& message) {
  Shard* target = shard_.world().shard(to);
  return target != nullptr && target->incarnation() == shard_.incarnation() &&
         &target->machine() == &shard_.machine() && target->mailbox().accept(message);
}

bool ShardMailbox::accept(std::unique_ptr<MailboxMessage>& message) {
  if (detached_ || messages_.size() >= capacity_) {
    return false;
  }
  messages_.push_back(std::move(message));
  if (receiving_ != nullptr) {
    shard_.complete(receiving_->number(), 0);
  }
  return true;
}

StatusOr<std::unique_ptr<MailboxMessage>> ShardMailbox::receive(const Deadline& deadline) {
  CHECK(receiving_ == nullptr);
  while (messages_.empty()) {
    Receive operation;
    shard_.scheduler().begin_operation(operation);
    receiving_ = &operation;
    struct Leave {
      ShardMailbox& mailbox;
      ~Leave() { mailbox.receiving_ = nullptr; }
    } const leave{*this};
    const Status waited =
        operation.wait(WaitKey{WaitKind::kMailbox, static_cast<std::uint64_t>(shard_.id().value()), 0, 0}, deadline);
    if (!operation.done()) {
      shard_.scheduler().forget_operation(operation);
    }
    RETURN_IF_ERROR(waited);
  }
  std::unique_ptr<MailboxMessage> message = std::move(messages_.front());
  messages_.pop_front();
  return message;
}

void ShardMailbox::detach() {
  detached_ = true;
  messages_.clear();
}

}  // namespace chronik::sim
