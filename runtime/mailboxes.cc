#include "runtime/mailboxes.h"

#include <utility>

#include "core/base/check.h"

namespace chronik::runtime {

bool Mailboxes::try_send(ShardId to, std::unique_ptr<MailboxMessage>& message) {
  const std::lock_guard lock(mutex_);
  const auto found = boxes_.find(to);
  if (found == boxes_.end() || found->second.messages.size() >= capacity_) {
    return false;
  }
  Box& box = found->second;
  box.messages.push_back(std::move(message));
  if (std::exchange(box.receiver_waits, false)) {
    box.inbox->post({box.receiver, 0});
  }
  return true;
}

ShardMailbox::ShardMailbox(Mailboxes& all, ShardId shard, CompletionInbox& inbox) : all_(all), shard_(shard) {
  const std::lock_guard lock(all_.mutex_);
  CHECK(all_.boxes_.try_emplace(shard, Mailboxes::Box{.inbox = &inbox}).second);
}

ShardMailbox::~ShardMailbox() {
  const std::lock_guard lock(all_.mutex_);
  all_.boxes_.erase(shard_);
}

std::unique_ptr<MailboxMessage> ShardMailbox::take() {
  const std::lock_guard lock(all_.mutex_);
  auto& messages = all_.boxes_.at(shard_).messages;
  if (messages.empty()) {
    return nullptr;
  }
  std::unique_ptr<MailboxMessage> message = std::move(messages.front());
  messages.pop_front();
  return message;
}

StatusOr<std::unique_ptr<MailboxMessage>> ShardMailbox::receive(const Deadline& deadline) {
  RETURN_IF_ERROR(cannot_begin(deadline));
  for (;;) {
    if (std::unique_ptr<MailboxMessage> message = take()) {
      return message;
    }
    IoWait wait;
    {
      const std::lock_guard lock(all_.mutex_);
      Mailboxes::Box& box = all_.boxes_.at(shard_);
      CHECK(!box.receiver_waits);
      box.receiver = wait.number();
      box.receiver_waits = true;
      if (!box.messages.empty()) {  // it came between the look and this
        box.receiver_waits = false;
        box.inbox->post({wait.number(), 0});
      }
    }
    const Status status = wait.wait({WaitKind::kMailbox, static_cast<std::uint64_t>(shard_.value()), 0, 0}, deadline);
    if (!status.ok()) {
      const std::lock_guard lock(all_.mutex_);
      all_.boxes_.at(shard_).receiver_waits = false;
      return status;
    }
  }
}

}  // namespace chronik::runtime
