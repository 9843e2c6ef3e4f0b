#include "core/cluster/broker_sessions.h"

#include <algorithm>
#include <utility>

#include "core/base/codec.h"

namespace chronik::cluster {

namespace {
constexpr std::size_t kSignBytes = sizeof(std::int64_t) + 1;  // without what version 2 has added
}  // namespace

std::string encode_sign(const SignOfLife& sign) {
  Writer writer;
  writer(sign);
  std::string bytes = writer.take();
  bytes.resize(sign.stuck ? bytes.size() : kSignBytes);
  return bytes;
}

std::optional<SignOfLife> decode_sign(ByteSpan bytes) {
  Reader reader(bytes);
  reader.set_format(bytes.size() > kSignBytes ? 2 : 1);
  SignOfLife sign;
  reader(sign);
  return reader.complete() && sign.epoch != BrokerEpoch::none() ? std::optional(sign) : std::nullopt;
}

void BrokerSessions::begin(const Image& image, MonotonicTime now, NodeId former, MonotonicTime former_heard) {
  sessions_.clear();
  image.brokers.for_each([&](const Broker& broker) {
    const MonotonicTime heard = broker.node == former ? std::min(former_heard, now) : now;
    sessions_[broker.node] = {.epoch = broker.epoch, .heard = heard};
  });
}

void BrokerSessions::hear(NodeId node, const SignOfLife& sign, MonotonicTime now) {
  const auto known = sessions_.find(node);
  if (known != sessions_.end() && sign.epoch < known->second.epoch) {
    return;  // of an earlier life, or from before it has applied its registration
  }
  const bool fenced = known != sessions_.end() && known->second.fenced;
  sessions_[node] = {
      .epoch = sign.epoch, .heard = now, .spoke = true, .fenced = fenced, .leaving = sign.leaving, .stuck = sign.stuck};
}

void BrokerSessions::end(NodeId node, MonotonicTime now) {
  if (const auto known = sessions_.find(node); known != sessions_.end()) {
    known->second.heard = std::min(known->second.heard, now + (Duration::zero() - session_));
  }
}

std::vector<ChangeBrokers::Change> BrokerSessions::due(const Image& image, MonotonicTime now) {
  std::vector<ChangeBrokers::Change> changes;
  image.brokers.for_each([&](const Broker& broker) {
    Session& session = sessions_[broker.node];
    if (session.epoch < broker.epoch) {
      session = {.epoch = broker.epoch, .heard = now};  // its registration was a sign of life
    }
    // What it said before it was fenced, perhaps at its own wish, does not say that it is back.
    if (std::exchange(session.fenced, broker.fenced) != broker.fenced && broker.fenced) {
      session.spoke = false;
    }
    const bool silent = broker.node != self_ && now - session.heard >= session_;
    const bool speaks = !silent && session.spoke && !session.leaving && session.epoch == broker.epoch;
    if (silent && !broker.fenced) {
      changes.push_back({.node = broker.node, .epoch = broker.epoch, .live = false});
    } else if (speaks && (broker.fenced || broker.stuck != session.stuck)) {
      const DepartingNode* departing = image.departing.find(broker.node);
      if (departing == nullptr || !departing->lost) {
        changes.push_back({.node = broker.node, .epoch = broker.epoch, .live = true, .stuck = session.stuck});
      }
    }
  });
  return changes;
}

MonotonicTime BrokerSessions::next(const Image& image) const {
  MonotonicTime next = MonotonicTime::never();
  for (const auto& [node, session] : sessions_) {
    if (node != self_ && image.is_live(node)) {
      next = std::min(next, session.heard + session_);
    }
  }
  return next;
}

}  // namespace chronik::cluster
