// Port: messages between the shards of a process, and from the process's other threads (HTTP, the watchdog, signals).
//
// A message moves its unique ownership; nothing that it carries may hold a reference-counted object of the sender
// (rule S5). Between shards nothing is lost or reordered; a full mailbox refuses.
#pragma once

#include <memory>

#include "core/base/deadline.h"
#include "core/base/ids.h"
#include "core/base/status.h"

namespace chronik {

class MailboxMessage {
 public:
  virtual ~MailboxMessage() = default;
};

class Mailbox {
 public:
  virtual ~Mailbox() = default;
  // Takes `message` and returns true, or leaves it alone and returns false where the target's mailbox is full or gone.
  // Does not suspend.
  virtual bool try_send(ShardId to, std::unique_ptr<MailboxMessage>& message) = 0;
  // The oldest message for this shard. Errors: kDeadlineExceeded, kCancelled, kAborted.
  virtual StatusOr<std::unique_ptr<MailboxMessage>> receive(const Deadline& deadline) = 0;
};

}  // namespace chronik
