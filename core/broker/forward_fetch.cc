#include "core/broker/forward_fetch.h"

#include <algorithm>

namespace chronik::broker {

using protocol::ErrorCode;
using protocol::FetchPartitionResponse;
using protocol::FetchRequest;
using protocol::FetchResponse;

namespace {
// For a leader to answer what it is not to wait for, however far away it is.
constexpr Duration kLeaderPatience = Duration::seconds(5);
}  // namespace

ForwardedFetch::ForwardedFetch(Broker& broker, Request& request, const FetchRequest& asked)
    : broker_(broker), request_(request), asked_(asked) {}

void ForwardedFetch::add(const PartitionPlace& place, NodeId leader) {
  const protocol::FetchTopic& topic = asked_.topics[place.topic];
  round_.add(asked_, place, leader, [&topic] {
    return protocol::FetchTopic{.topic = topic.topic, .topic_id = topic.topic_id, .partitions = {}};
  });
  ++partitions_;
  leaders_ = round_.parts().size();
  given_.resize(leaders_);
}

std::size_t ForwardedFetch::bytes_of(const ForwardPart<FetchRequest>& part, const FetchResponse& response,
                                     bool& at_once) const {
  std::size_t bytes = 0;
  for (const PartitionPlace& place : part.places) {
    const FetchPartitionResponse& answer = response.responses[place.topic].partitions[place.partition];
    bytes += answer.records.has_value() ? answer.records->size() : 0;
    at_once |= answer.error_code != ErrorCode::kNone || answer.diverging_epoch.epoch != LeaderEpoch::none();
  }
  return bytes;
}

ForwardedFetch::Gathered ForwardedFetch::ask(Duration wait, std::int32_t min_bytes, std::size_t max_bytes,
                                             FetchResponse& response) {
  for (ForwardPart<FetchRequest>& part : round_.parts()) {
    part.request.max_wait_ms = static_cast<std::int32_t>(wait.milliseconds());
    part.request.min_bytes = min_bytes;
    part.request.max_bytes = static_cast<std::int32_t>(max_bytes);
    part.request.session_id = 0;
    part.request.session_epoch = -1;
    part.request.forgotten_topics_data.clear();
  }
  broker_.metrics().fetch_forwards.add(leaders_);
  round_.send(broker_, request_.connection, request_.header.version);
  const Deadline deadline = fiber::within(wait + std::min(kLeaderPatience, broker_.node_patience()), Expiry::kPeer);
  Gathered gathered;
  for (std::size_t i = 0; i < leaders_; ++i) {
    const Status answered = round_.gather(broker_, i, response, deadline);
    if (!answered.ok()) {
      // A fetch changes nothing: what is not answered may well be asked of whoever leads then.
      fail_part(ErrorCode::kNotLeaderOrFollower, round_.parts()[i].places, response);
    }
    given_[i] = bytes_of(round_.parts()[i], response, gathered.at_once);
    gathered.bytes += given_[i];
    gathered.at_once |= given_[i] >= max_bytes;
  }
  return gathered;
}

bool ForwardedFetch::park(Duration wait, fiber::WaitSet& moves) {
  std::map<NodeId, Ref<ParkedFetch>>& known = request_.connection.forwards().parked;
  parked_.clear();
  for (std::size_t i = 0; i < leaders_; ++i) {
    const ForwardPart<FetchRequest>& part = round_.parts()[i];
    const auto more =
        static_cast<std::int32_t>(std::min<std::size_t>(given_[i] + 1, std::numeric_limits<std::int32_t>::max()));
    // One that waits for the same already, since the fetch before this one, does.
    const Ref<ParkedFetch> before = known[part.leader];
    if (before && !before->done() && before->request().topics == part.request.topics &&
        before->request().min_bytes == more) {
      parked_.push_back(before);
    } else if (ForwardLink* link = broker_.forwarding()->unused(part.leader); link != nullptr) {
      FetchRequest request = part.request;
      request.max_wait_ms = static_cast<std::int32_t>(wait.milliseconds());
      request.min_bytes = request.max_bytes = more;
      Ref<ParkedFetch> parked = Ref<ParkedFetch>::make(*link, std::move(request));
      if (!parked->send(request_.header.version).ok()) {
        continue;
      }
      known[part.leader] = parked;
      parked_.push_back(std::move(parked));
    } else {
      continue;  // its partitions are looked at again when the wait is over
    }
    moves.add(parked_.back()->event(), parked_.back()->wait_key());
  }
  // One may have been answered while a link for another was looked for.
  return std::any_of(parked_.begin(), parked_.end(), [](const Ref<ParkedFetch>& parked) { return parked->done(); });
}

}  // namespace chronik::broker
