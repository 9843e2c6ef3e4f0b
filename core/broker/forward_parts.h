// A request split by who leads its partitions, and the answers put together again.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/broker/broker.h"
#include "core/broker/connection.h"
#include "core/broker/forwarding.h"

namespace chronik::broker {

// Where a partition stands in a request and, likewise, its answer in the response.
struct PartitionPlace {
  std::size_t topic = 0;
  std::size_t partition = 0;
  friend bool operator==(const PartitionPlace&, const PartitionPlace&) = default;
};

// Messages call the same lists by different names.
template <typename M>
auto& topics_in(M& message) {
  if constexpr (requires { message.topic_data; }) {
    return message.topic_data;
  } else if constexpr (requires { message.responses; }) {
    return message.responses;
  } else {
    return message.topics;
  }
}

template <typename T>
auto& partitions_in(T& topic) {
  if constexpr (requires { topic.partition_data; }) {
    return topic.partition_data;
  } else if constexpr (requires { topic.partition_responses; }) {
    return topic.partition_responses;
  } else if constexpr (requires { topic.partition_indexes; }) {
    return topic.partition_indexes;
  } else {
    return topic.partitions;
  }
}

template <typename P>
PartitionId index_in(const P& partition) {
  if constexpr (std::same_as<P, PartitionId>) {
    return partition;
  } else if constexpr (requires { partition.partition_index; }) {
    return partition.partition_index;
  } else if constexpr (requires { partition.index; }) {
    return partition.index;
  } else {
    return partition.partition;
  }
}

// What of a request goes to one leader.
template <typename Request>
struct ForwardPart {
  NodeId leader;
  Request request;
  std::vector<PartitionPlace> places;  // in the order of the part
};

template <typename Request>
class ForwardParts {
 public:
  // Adds one partition of `whole`, whose list of topics is not looked at, to the part of `leader`. `topic` makes the
  // part's topic, without partitions.
  template <typename Partition, typename MakeTopic>
  void add(const Request& whole, const PartitionPlace& place, Partition partition, NodeId leader, MakeTopic&& topic) {
    ForwardPart<Request>& part = part_of(whole, leader);
    auto& topics = topics_in(part.request);
    if (part.places.empty() || part.places.back().topic != place.topic) {
      topics.push_back(topic());
    }
    partitions_in(topics.back()).push_back(std::move(partition));
    part.places.push_back(place);
  }

  bool empty() const { return parts_.empty(); }
  std::vector<ForwardPart<Request>>& all() { return parts_; }

 private:
  ForwardPart<Request>& part_of(const Request& whole, NodeId leader) {
    for (ForwardPart<Request>& part : parts_) {
      if (part.leader == leader) {
        return part;
      }
    }
    ForwardPart<Request>& part = parts_.emplace_back();
    part.leader = leader;
    part.request = whole;
    topics_in(part.request).clear();
    return part;
  }

  std::vector<ForwardPart<Request>> parts_;
};

// Puts a part's answers where they belong in `whole`. False: the leader has answered something else.
template <typename Response>
bool merge_part(Response part, const std::vector<PartitionPlace>& places, Response& whole) {
  std::size_t next = 0;
  for (auto& topic : topics_in(part)) {
    for (auto& answer : partitions_in(topic)) {
      if (next == places.size()) {
        return false;
      }
      const PartitionPlace& place = places[next++];
      auto& slot = partitions_in(topics_in(whole)[place.topic])[place.partition];
      if (index_in(answer) != index_in(slot)) {
        return false;
      }
      slot = std::move(answer);
      if constexpr (requires { slot.current_leader; }) {
        slot.current_leader = {};  // the client cannot reach it
      }
    }
  }
  return next == places.size();
}

template <typename Response>
void fail_part(protocol::ErrorCode error, const std::vector<PartitionPlace>& places, Response& whole) {
  for (const PartitionPlace& place : places) {
    partitions_in(topics_in(whole)[place.topic])[place.partition].error_code = error;
  }
}

// The error of a forwarded request without an answer. Where it may have been carried out, one by which no client takes
// it for refused.
inline protocol::ErrorCode error_of_forward(const Status& why) {
  return absl::IsFailedPrecondition(why) || absl::IsResourceExhausted(why) ? protocol::ErrorCode::kNotLeaderOrFollower
                                                                           : protocol::ErrorCode::kRequestTimedOut;
}

// For requests that do not wait at the leader: sends to all of them, then gathers their answers.
template <typename Request, typename Response>
class ForwardRound {
 public:
  // leader_of(topic, partition): none: here.
  template <typename LeaderOf>
  void split(const Request& whole, LeaderOf&& leader_of) {
    for (std::size_t t = 0; t < topics_in(whole).size(); ++t) {
      const auto& topic = topics_in(whole)[t];
      for (std::size_t p = 0; p < partitions_in(topic).size(); ++p) {
        const NodeId leader = leader_of(topic, index_in(partitions_in(topic)[p]));
        if (leader == NodeId::none()) {
          continue;
        }
        add(whole, {t, p}, leader, [&topic] {
          auto named = topic;
          partitions_in(named).clear();
          return named;
        });
      }
    }
  }

  template <typename MakeTopic>
  void add(const Request& whole, const PartitionPlace& place, NodeId leader, MakeTopic&& topic) {
    parts_.add(whole, place, partitions_in(topics_in(whole)[place.topic])[place.partition], leader, topic);
  }
  std::vector<ForwardPart<Request>>& parts() { return parts_.all(); }

  void send(Broker& broker, ClientConnection& client, std::int16_t version) {
    version_ = version;
    calls_.clear();
    for (ForwardPart<Request>& part : parts_.all()) {
      auto& call = calls_.emplace_back(std::make_unique<AwaitedCall>());
      ForwardPin* pin = broker.forwarding()->pinned(client, part.leader);
      if (pin == nullptr || !call->start(pin->link(), part.request, version).ok()) {
        call.reset();
      }
    }
  }

  // Waits for the answer of the part with this number. Its error stands in `whole` where there is none.
  Status gather(Broker& broker, std::size_t number, Response& whole, const Deadline& deadline) {
    const ForwardPart<Request>& part = parts_.all()[number];
    Status status = absl::FailedPreconditionError("the leader cannot be reached");
    if (calls_[number] != nullptr) {
      const StatusOr<Slice> body = calls_[number]->wait(deadline);
      status = body.status();
      if (body.ok()) {
        StatusOr<Response> answer = protocol::decode<Response>(*body, version_);
        status = answer.status();
        if (answer.ok() && !merge_part(*std::move(answer), part.places, whole)) {
          status = absl::DataLossError("the leader has answered something else");
        }
      }
    }
    if (!status.ok()) {
      broker.metrics().forward_errors.add();
      fail_part(error_of_forward(status), part.places, whole);
    }
    return status;
  }

  // lasts: for how long whoever is asked may have to wait by itself.
  void gather_all(Broker& broker, Response& whole, const Deadline& deadline, Duration lasts = Duration::zero()) {
    const Deadline patience =
        deadline.no_later_than(fiber::Scheduler::current().now() + broker.node_patience() + lasts, Expiry::kPeer);
    for (std::size_t i = 0; i < calls_.size(); ++i) {
      static_cast<void>(gather(broker, i, whole, patience));
    }
  }

 private:
  std::int16_t version_ = 0;
  ForwardParts<Request> parts_;
  std::vector<std::unique_ptr<AwaitedCall>> calls_;
};

// Sends what of `asked` concerns partitions that others lead, topics being known by their names.
template <typename Response, typename Request>
ForwardRound<Request, Response> forward_by_name(Broker& broker, broker::Request& request, const Request& asked) {
  ForwardRound<Request, Response> round;
  if (broker.forwards(request)) {
    const cluster::ImageRef image = broker.metadata().image();
    round.split(asked, [&](const auto& topic, PartitionId index) {
      if constexpr (requires { topic.name; }) {
        return broker.leader_elsewhere(image->find_topic(topic.name), index);
      } else {
        return broker.leader_elsewhere(image->find_topic(topic.topic), index);
      }
    });
    broker.metrics().other_forwards.add(round.parts().size());
    round.send(broker, request.connection, request.header.version);
  }
  return round;
}

}  // namespace chronik::broker
