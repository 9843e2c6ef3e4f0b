// Produces on their way to an answer: what was appended here and waits to be acknowledged, and what other leaders were
// asked to append.
#pragma once

#include <absl/container/fixed_array.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/broker/broker.h"
#include "core/broker/connection.h"
#include "core/broker/forward_parts.h"
#include "core/broker/produce_order.h"
#include "core/fiber/wait_graph.h"
#include "core/protocol/messages/produce.h"
#include "core/replication/partition.h"

namespace chronik::broker {

class ForwardedProduce;
class LateProduce;

// An append that has to be acknowledged, and where its answer stands in the response.
struct PendingAppend final : replication::OffsetWaiter {
  void on_passed(bool passed) override;

  LateProduce* work = nullptr;
  Ref<replication::Partition> partition;
  log::ProducerBatch producer;
  std::uint32_t topic = 0;
  std::uint32_t index = 0;
  protocol::ErrorCode error = protocol::ErrorCode::kRequestTimedOut;  // until it has passed
};

// An answer that waits for its appends to be acknowledged, or for the end of its time. It is encoded when they are
// made, while all that it tells is at hand; what fails afterwards changes it.
class LateProduce final : public LateAnswer, private fiber::Timer, private fiber::WaitSource {
 public:
  LateProduce(Broker& broker, Request& request, replication::Acks acks, std::size_t partitions);
  ~LateProduce() override;

  // To be acknowledged. `place`: the answer's, in the response.
  void add(Ref<replication::Partition> partition, const replication::Partition::AppendOutcome& outcome,
           const log::ProducerBatch& producer, const PartitionPlace& place);
  // It goes to that leader with forward(): an idempotent producer's.
  void add_ordered(const ProduceOrder::Batch& batch, NodeId leader, const PartitionPlace& place);
  // Nobody will tell what has become of what went to that leader, if it was sent.
  void note_unknown(NodeId leader);
  // What was appended is refused after all, since this is not the leader any more.
  void note_refused(const PendingAppend& append);
  // What goes to other leaders; sends it. Does not suspend but where a broken link is put away.
  void forward(ForwardParts<protocol::ProduceRequest>& parts, ClientConnection& client, Duration timeout);
  // All are made. False: the answer to them cannot be given, and the connection is closed.
  bool answer(const protocol::ProduceResponse& response, bool all_appended);
  void wait(Duration timeout);
  void settle_one();
  void note_forwarded(bool answered);
  replication::Acks acks() const { return acks_; }
  Answer& obligation() { return answer_; }

  bool ready() const override { return waiting_ == 0; }
  void give() override;

 private:
  struct Ordered {
    std::string topic;
    PartitionId partition;
    log::ProducerBatch producer;
    NodeId leader;
    PartitionPlace place;
    ProduceOrder::Batch batch() const { return {topic, partition, producer}; }
  };
  void on_timer() override;
  void add_wait(MonotonicTime now, std::vector<fiber::FiberWait>& into) const override;
  Status prepare(const protocol::ProduceResponse& response);
  StatusOr<bool> correct();
  bool is_behind(NodeId leader);
  void end_ordered(const protocol::ProduceResponse& response);

  Broker& broker_;
  ClientConnection& client_;
  WaitKey key_;
  Answer answer_;
  fiber::Budget::Hold hold_;
  MonotonicTime received_;
  MonotonicTime ends_ = MonotonicTime::never();
  CorrelationId correlation_id_;
  std::int16_t version_;
  replication::Acks acks_;
  bool all_appended_ = true;
  std::size_t appended_ = 0;
  std::size_t waiting_ = 1;  // appends that have not passed, and one for wait()
  std::vector<std::unique_ptr<ForwardedProduce>> forwarded_;
  std::vector<Ordered> ordered_;                // of what is forwarded
  absl::FixedArray<PendingAppend, 1> appends_;  // one for each partition asked for; appended_ of them are used
};

}  // namespace chronik::broker
