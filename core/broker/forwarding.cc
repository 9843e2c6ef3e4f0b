#include "core/broker/forwarding.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "core/broker/connection.h"
#include "core/fiber/scheduler.h"

namespace chronik::broker {

namespace {
constexpr std::string_view kForwardClientId = "chronik-forward-";
}  // namespace

// ---- ParkedFetch ----

ParkedFetch::ParkedFetch(ForwardLink& link, protocol::FetchRequest request)
    : pin_(std::make_unique<ForwardPin>(link, nullptr)), request_(std::move(request)) {}

ParkedFetch::~ParkedFetch() {
  if (under_way()) {
    pin_->link().close();
  }
}

Status ParkedFetch::send(std::int16_t version) { return start(pin_->link(), request_, version); }

void ParkedFetch::on_forwarded(StatusOr<Slice> /*body*/) {
  done_ = true;
  event_.notify_all();
  pin_.reset();
}

// ---- Forwarding ----

Forwarding::Forwarding(Network& network, cluster::Metadata& metadata, NodeId self, const Limits& limits,
                       const ForwardingOptions& options)
    : network_(network),
      metadata_(metadata),
      self_(self),
      limits_(limits),
      options_(options),
      source_(fiber::Fiber::current().scope().source()) {
  metadata.subscribe(*this);
}

Forwarding::~Forwarding() = default;

void Forwarding::stop() {
  unlink();
  targets_.clear();
}

bool Forwarding::is_forwarded(const std::optional<std::string>& client_id) {
  return client_id.has_value() && client_id->starts_with(kForwardClientId);
}

void Forwarding::on_metadata(const cluster::Delta& delta) {
  for (const NodeId node : delta.brokers) {
    const auto found = targets_.find(node);
    if (found == targets_.end()) {
      continue;
    }
    const cluster::Broker* broker = delta.after->find_broker(node);
    if (broker == nullptr || broker->fenced || broker->epoch != found->second.epoch) {
      for (const std::unique_ptr<ForwardLink>& link : found->second.links) {
        link->close();
      }
    }
  }
}

ForwardPin* Forwarding::pinned(ClientConnection& client, NodeId leader) {
  std::map<NodeId, std::unique_ptr<ForwardPin>>& pins = client.forwards().pins;
  if (const auto found = pins.find(leader); found != pins.end()) {
    if (!found->second->link().broken()) {
      return found->second.get();
    }
    pins.erase(found);
  }
  ForwardLink* link = take(leader, true);
  if (link == nullptr) {
    return nullptr;
  }
  return pins.emplace(leader, std::make_unique<ForwardPin>(*link, &client)).first->second.get();
}

ForwardLink* Forwarding::unused(NodeId leader) { return take(leader, false); }

ForwardLink* Forwarding::take(NodeId leader, bool shared_too) {
  const cluster::ImageRef image = metadata_.image();
  const cluster::Broker* broker = image->find_broker(leader);
  if (leader == self_ || broker == nullptr || broker->fenced || broker->endpoints.empty()) {
    return nullptr;
  }
  Target& target = targets_[leader];
  if (target.epoch != broker->epoch) {
    target.epoch = broker->epoch;
    target.not_before = MonotonicTime();
  }
  take_ended(target).clear();  // suspends
  return choose(target, *broker, shared_too);
}

// What nobody uses any more of those that are broken, or may not be used again: an answer is still to come.
std::vector<std::unique_ptr<ForwardLink>> Forwarding::take_ended(Target& target) const {
  std::vector<std::unique_ptr<ForwardLink>> ended;
  std::vector<std::unique_ptr<ForwardLink>> kept;
  for (std::unique_ptr<ForwardLink>& link : target.links) {
    const bool gone = link->users() == 0 && (link->broken() || link->unanswered() > 0);
    if (link->broken() && !link->reached()) {
      target.not_before = std::max(target.not_before, link->ended() + options_.pause);
    }
    (gone ? ended : kept).push_back(std::move(link));
  }
  target.links = std::move(kept);
  return ended;
}

ForwardLink* Forwarding::choose(Target& target, const cluster::Broker& broker, bool shared_too) {
  ForwardLink* idle = nullptr;
  ForwardLink* least_used = nullptr;
  std::size_t alone = 0;
  for (const std::unique_ptr<ForwardLink>& link : target.links) {
    alone += link->alone() ? 1U : 0U;
    if (link->broken() || link->alone()) {
      continue;
    }
    if (link->users() == 0) {
      // Where an answer is still to come, nobody waits for it any more, but others would have to behind it.
      idle = link->unanswered() == 0 ? link.get() : idle;
    } else if (least_used == nullptr || link->users() < least_used->users()) {
      least_used = link.get();
    }
  }
  if (!shared_too && alone >= options_.links_per_node_max / 2) {
    return nullptr;  // the rest is for those who can share
  }
  if (idle != nullptr) {
    return idle;
  }
  if (target.links.size() < options_.links_per_node_max) {
    if (fiber::Scheduler::current().now() < target.not_before) {
      return nullptr;
    }
    return target.links
        .emplace_back(std::make_unique<ForwardLink>(
            network_, source_,
            ForwardLink::Options{.endpoint = broker.endpoints.front(),
                                 .connect = options_.connect,
                                 .client = {.client_id = fmt::format("{}{}", kForwardClientId, self_.value()),
                                            .in_flight_max = options_.in_flight_max,
                                            .frame_bytes_max = client::ClientOptions().frame_bytes_max,
                                            .idle = limits_.idle,
                                            .frame = limits_.frame,
                                            .write = limits_.write}}))
        .get();
  }
  return shared_too ? least_used : nullptr;
}

}  // namespace chronik::broker
