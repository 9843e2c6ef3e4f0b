#include "server/snapshot.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "core/fiber/wait.h"

namespace chronik::server {

namespace {

// Shared by who asks and the question, whichever lives longer.
template <typename Answer>
class PendingAnswer {
 public:
  void settle(std::optional<Answer> answer) {
    {
      const std::lock_guard lock(mutex_);
      if (std::exchange(settled_, true)) {
        return;
      }
      answer_ = std::move(answer);
    }
    changed_.notify_all();
  }
  std::optional<Answer> wait(Duration patience) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::nanoseconds(patience.nanoseconds()), [this] { return settled_; });
    return std::move(answer_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool settled_ = false;  // guarded by mutex_, as is the next
  std::optional<Answer> answer_;
};

class SnapshotQuestion final : public MailboxMessage {
 public:
  SnapshotQuestion(std::shared_ptr<PendingAnswer<ShardSnapshot>> pending, Wanted wanted)
      : pending_(std::move(pending)), wanted_(wanted) {}
  // Thrown away unanswered, where the shard ends: nobody need wait any longer.
  ~SnapshotQuestion() override { pending_->settle(std::nullopt); }
  Wanted wanted() const { return wanted_; }
  void answer(ShardSnapshot snapshot) { pending_->settle(std::move(snapshot)); }

 private:
  std::shared_ptr<PendingAnswer<ShardSnapshot>> pending_;
  Wanted wanted_;
};

class OrderMessage final : public MailboxMessage {
 public:
  OrderMessage(std::shared_ptr<PendingAnswer<HttpPage>> pending, ShardOrder order)
      : pending_(std::move(pending)), order_(std::move(order)) {}
  ~OrderMessage() override { pending_->settle(std::nullopt); }  // as above
  void carry_out() { pending_->settle(order_()); }

 private:
  std::shared_ptr<PendingAnswer<HttpPage>> pending_;
  ShardOrder order_;
};

}  // namespace

std::optional<ShardSnapshot> ask_shard(runtime::Mailboxes& mailboxes, ShardId shard, Wanted wanted, Duration patience) {
  auto pending = std::make_shared<PendingAnswer<ShardSnapshot>>();
  std::unique_ptr<MailboxMessage> question = std::make_unique<SnapshotQuestion>(pending, wanted);
  return mailboxes.try_send(shard, question) ? pending->wait(patience) : std::nullopt;
}

std::optional<HttpPage> order_shard(runtime::Mailboxes& mailboxes, ShardId shard, ShardOrder order, Duration patience) {
  auto pending = std::make_shared<PendingAnswer<HttpPage>>();
  std::unique_ptr<MailboxMessage> message = std::make_unique<OrderMessage>(pending, std::move(order));
  return mailboxes.try_send(shard, message) ? pending->wait(patience) : std::nullopt;
}

SnapshotService::SnapshotService(Mailbox& mailbox, Take take) : mailbox_(mailbox), take_(std::move(take)) {
  scope_.spawn({"snapshots", 0}, [this] { answer_all(); });
}

SnapshotService::~SnapshotService() { scope_.cancel_and_join(); }

void SnapshotService::answer_all() {
  for (;;) {
    StatusOr<std::unique_ptr<MailboxMessage>> message = mailbox_.receive(fiber::for_ever());
    if (!message.ok()) {
      return;
    }
    if (auto* order = dynamic_cast<OrderMessage*>(message->get()); order != nullptr) {
      scope_.spawn({"order", ++orders_}, [held = *std::move(message), order] { order->carry_out(); });
      continue;
    }
    auto* question = dynamic_cast<SnapshotQuestion*>(message->get());
    CHECK(question != nullptr);  // nothing else is sent in a process of one shard
    question->answer(take_(question->wanted()));
  }
}

}  // namespace chronik::server
