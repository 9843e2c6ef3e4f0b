// Messages between the shards of a simulated process, and from the world, which stands for its other threads.
#pragma once

#include <deque>
#include <memory>

#include "core/fiber/wait.h"
#include "core/ports/mailbox.h"

namespace chronik::sim {

class Shard;

class ShardMailbox final : public Mailbox {
 public:
  ShardMailbox(Shard& shard, std::size_t capacity) : shard_(shard), capacity_(capacity) {}
  ~ShardMailbox() override;

  bool try_send(ShardId to, std::unique_ptr<MailboxMessage>& message) override;
  StatusOr<std::unique_ptr<MailboxMessage>> receive(const Deadline& deadline) override;

  // What try_send does at the receiver. The message is there with the receiver's next turn.
  bool accept(std::unique_ptr<MailboxMessage>& message);
  void detach();

 private:
  class Receive;
  Shard& shard_;
  std::size_t capacity_;
  std::deque<std::unique_ptr<MailboxMessage>> messages_;
  Receive* receiving_ = nullptr;
  bool detached_ = false;
};

}  // namespace chronik::sim
