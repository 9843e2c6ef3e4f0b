// One connection of a Kafka client: requests go out in the order in which they were made, as many as allowed at a time,
// and each answer finds its request by its correlation id.
//
// For replication, forwarding, workloads, checkers' readers and tools. It neither connects again nor tries again: that
// is the caller's, who alone knows what a lost answer means. Lifetime: made within a fiber, whose scope its two fibers
// live under; calls end before it does. Invariant: once broken() it stays so, and every call fails.
#pragma once

#include <absl/container/btree_map.h>

#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "core/fiber/scope.h"
#include "core/fiber/wait.h"
#include "core/ports/network.h"
#include "core/protocol/frame_reader.h"
#include "core/protocol/headers.h"
#include "core/protocol/messages/fetch.h"
#include "core/protocol/messages/metadata.h"
#include "core/protocol/messages/produce.h"

namespace chronik::client {

struct ClientOptions {
  std::string client_id = "chronik";
  std::size_t in_flight_max = 64;                    // requests without an answer yet
  std::int32_t frame_bytes_max = 100 * 1024 * 1024;  // of an answer; a longer one breaks the connection
  Duration idle = Duration::seconds(600);            // without a request or an answer; then the connection breaks
  Duration frame = Duration::seconds(30);            // from an answer's length to its end
  Duration write = Duration::seconds(30);            // for the broker to take one request
};

class Client {
 public:
  static StatusOr<std::unique_ptr<Client>> connect(Network& network, const Address& to, const ClientOptions& options,
                                                   const Deadline& deadline);
  Client(std::unique_ptr<Connection> connection, const ClientOptions& options);
  // Called off with `parent`, not with the scope of the fiber that makes it.
  Client(std::unique_ptr<Connection> connection, const ClientOptions& options, CancelSource& parent);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Sends and waits for the answer. kResourceExhausted, kFailedPrecondition: nothing was sent. kUnknown (the deadline
  // passed), kUnavailable, kCancelled: the broker may have carried it out, or will.
  template <typename Response, typename Request>
  StatusOr<Response> call(const Request& request, std::int16_t version, const Deadline& deadline) {
    const protocol::RequestHeader header = next_header(Request::kTraits.api, version);
    ASSIGN_OR_RETURN(const Slice body, exchange(header, protocol::encode_request(header, request), deadline));
    return protocol::decode<Response>(body, version);
  }

  // A request on its way, for whoever waits for its answer without a fiber. Destroyed before, it is not told.
  class Call : public WaitDetail {
   public:
    Call() = default;
    ~Call() override { forget(); }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    // Once: the answer's body; kUnavailable: none will come, and the broker may have carried it out. Must not suspend,
    // and may destroy this.
    virtual void on_answer(StatusOr<Slice> body) = 0;
    bool under_way() const { return client_ != nullptr; }
    // What the connection will provide.
    const WaitKey& key() const { return key_; }
    std::string describe_wait() const override;  // "Fetch to 10.0.0.2:9092"

   private:
    friend class Client;
    void forget();

    Client* client_ = nullptr;  // null: not under way
    CorrelationId id_;
    protocol::ApiKey api_{};
    std::int16_t version_ = 0;
    WaitKey key_;
  };

  // Sends behind all that was handed over before, and tells `call` of the answer. Does not suspend. Not ok
  // (kResourceExhausted, kFailedPrecondition): nothing was sent, and `call` is told nothing.
  template <typename Request>
  Status start(const Request& request, std::int16_t version, Call& call) {
    const protocol::RequestHeader header = next_header(Request::kTraits.api, version);
    return begin(header, protocol::encode_request(header, request), call);
  }

  // The same for a request that is never answered: waits until the connection has taken it.
  template <typename Request>
  Status send(const Request& request, std::int16_t version, const Deadline& deadline) {
    return hand_over(protocol::encode_request(next_header(Request::kTraits.api, version), request), deadline);
  }

  // The topic as the broker knows it; made where it is missing and the broker allows that. kUnavailable also where it
  // does not serve yet.
  StatusOr<protocol::MetadataTopic> metadata(const std::string& topic, const Deadline& deadline);
  // acks: 1 or -1. The broker gives up at the deadline at the latest.
  StatusOr<protocol::ProducePartitionResponse> produce(const std::string& topic, PartitionId partition, Slice batch,
                                                       std::int16_t acks, const Deadline& deadline);
  // With acks 0. Ok says that the connection took it, and nothing about the broker.
  Status produce_unanswered(const std::string& topic, PartitionId partition, Slice batch, const Deadline& deadline);
  // What is there from `from` on, at most about `bytes_max`; does not wait for more.
  StatusOr<protocol::FetchPartitionResponse> fetch(const std::string& topic, PartitionId partition, Offset from,
                                                   std::int32_t bytes_max, const Deadline& deadline) {
    return fetch_waiting(topic, partition, from, bytes_max, Duration::zero(), deadline);
  }
  // The same; the broker waits up to `wait` where nothing is there yet.
  StatusOr<protocol::FetchPartitionResponse> fetch_waiting(const std::string& topic, PartitionId partition, Offset from,
                                                           std::int32_t bytes_max, Duration wait,
                                                           const Deadline& deadline);

  // What the broker has not read yet may be lost.
  void close();
  // For whoever has sent what is never answered: waits until the broker has read it all and closed the connection,
  // which is broken then. kFailedPrecondition: something is under way, or it was broken before. kDeadlineExceeded: the
  // broker is not there yet; nothing more can be sent, all the same.
  Status finish(const Deadline& deadline);
  bool broken() const { return broken_; }
  // Ok, or how the broker broke the protocol: an answer that cannot be read, or not in the order of the requests. Such
  // a connection is broken.
  const Status& violation() const { return violation_; }
  std::size_t in_flight() const { return pending_.size(); }

 private:
  class WaitingCall;
  class Handed;
  struct Outgoing {
    protocol::Frame frame;
    Handed* handed = nullptr;  // null: nobody waits until the connection has taken it
  };
  protocol::RequestHeader next_header(protocol::ApiKey api, std::int16_t version);
  Status begin(const protocol::RequestHeader& header, protocol::Frame frame, Call& call);
  StatusOr<Slice> exchange(const protocol::RequestHeader& header, protocol::Frame frame, const Deadline& deadline);
  // Its number in the order of writing, from 1.
  std::uint64_t enqueue(protocol::Frame frame, Handed* handed = nullptr);
  Status hand_over(protocol::Frame frame, const Deadline& deadline);
  WaitKey key_of(CorrelationId id) const;
  void write_requests();
  std::size_t gather(std::vector<Slice>& parts);
  void note_written(std::size_t frames);
  void read_answers();
  StatusOr<std::int32_t> next_length();
  Status read_answer();
  void fail_all(const Status& why);

  ClientOptions options_;
  std::unique_ptr<Connection> connection_;
  protocol::FrameReader frames_;
  absl::btree_map<CorrelationId, Call*> pending_;
  std::deque<Outgoing> outbox_;  // the first of them are being written
  fiber::Event outgoing_;
  std::uint64_t queued_ = 0;  // frames ever put into the outbox
  std::uint64_t written_ = 0;
  MonotonicTime last_written_;
  std::int32_t next_id_ = 0;
  std::uint64_t answers_ = 0;
  CorrelationId answered_;  // the latest, where there are any
  bool broken_ = false;
  Status violation_;
  fiber::FiberScope scope_;
};

}  // namespace chronik::client
