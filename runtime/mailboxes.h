// The mailboxes of a process: one for each shard, bounded, sent to from any thread.
//
// A message moves its unique ownership under a lock; a sleeping shard is woken through its loop's inbox.
// Lifetime: Mailboxes outlives every shard's ShardMailbox and every other sender.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <mutex>

#include "core/ports/mailbox.h"
#include "runtime/completion_inbox.h"
#include "runtime/io_wait.h"

namespace chronik::runtime {

class Mailboxes {
 public:
  explicit Mailboxes(std::size_t capacity) : capacity_(capacity) {}

  // From any thread; see Mailbox::try_send.
  bool try_send(ShardId to, std::unique_ptr<MailboxMessage>& message);

 private:
  friend class ShardMailbox;
  struct Box {
    CompletionInbox* inbox;
    std::deque<std::unique_ptr<MailboxMessage>> messages = {};
    OpNumber receiver = {};  // the operation that waits for a message
    bool receiver_waits = false;
  };

  std::size_t capacity_;
  std::mutex mutex_;
  std::map<ShardId, Box> boxes_;  // guarded by mutex_
};

class ShardMailbox final : public Mailbox {
 public:
  ShardMailbox(Mailboxes& all, ShardId shard, CompletionInbox& inbox);
  ~ShardMailbox() override;

  bool try_send(ShardId to, std::unique_ptr<MailboxMessage>& message) override { return all_.try_send(to, message); }
  StatusOr<std::unique_ptr<MailboxMessage>> receive(const Deadline& deadline) override;

 private:
  std::unique_ptr<MailboxMessage> take();

  Mailboxes& all_;
  ShardId shard_;
};

}  // namespace chronik::runtime
