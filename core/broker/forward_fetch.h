// The part of a consumer's fetch that concerns partitions which other nodes lead.
//
// Where all of it is one leader's, it goes there as it is and waits there. Else this node asks each leader for what it
// has at once, and where all of that and its own is not enough, waits for its own partitions and, by one parked fetch
// at each leader, for theirs; then it asks again. So no leader holds up another, and none is passed over because
// another always has something.
#pragma once

#include <vector>

#include "core/broker/forward_parts.h"
#include "core/fiber/wait.h"
#include "core/protocol/messages/fetch.h"

namespace chronik::broker {

class ForwardedFetch {
 public:
  // `asked`: without what is to be answered here, or not at all. All references outlive it.
  ForwardedFetch(Broker& broker, Request& request, const protocol::FetchRequest& asked);

  // A partition of the request whose answer another leader gives.
  void add(const PartitionPlace& place, NodeId leader);
  std::size_t partitions() const { return partitions_; }
  std::size_t leaders() const { return leaders_; }

  // What came of asking. at_once: an error, a divergence, or a leader that has more than it may give, is news that
  // does not wait for min_bytes.
  struct Gathered {
    std::size_t bytes = 0;
    bool at_once = false;
  };
  // Asks each leader, which waits up to `wait` for `min_bytes`, and puts the answers into `response`.
  Gathered ask(Duration wait, std::int32_t min_bytes, std::size_t max_bytes, protocol::FetchResponse& response);
  // Has each leader tell when it has more than it gave last. Events of that are added to `moves`. True: there is news
  // already.
  bool park(Duration wait, fiber::WaitSet& moves);

 private:
  std::size_t bytes_of(const ForwardPart<protocol::FetchRequest>& part, const protocol::FetchResponse& response,
                       bool& at_once) const;

  Broker& broker_;
  Request& request_;
  const protocol::FetchRequest& asked_;
  ForwardRound<protocol::FetchRequest, protocol::FetchResponse> round_;
  std::vector<std::size_t> given_;  // bytes, by part
  std::vector<Ref<ParkedFetch>> parked_;
  std::size_t partitions_ = 0;
  std::size_t leaders_ = 0;
};

}  // namespace chronik::broker
