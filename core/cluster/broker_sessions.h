// Which brokers the controller has heard of lately, and what follows from it: who is to be fenced, who is live again,
// whose disk is stuck.
//
// Pure: time comes in. Only the leader of the metadata's log keeps sessions; when it begins to lead it knows nothing
// and gives every broker a full one (rule R13), but for the leader before it, of whom it knows when it last heard.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/time.h"
#include "core/cluster/command.h"
#include "core/cluster/image.h"

namespace chronik::cluster {

// What a broker says of itself with each sign of life.
struct SignOfLife {
  BrokerEpoch epoch;     // of its registration, which it has applied
  bool leaving = false;  // about to stop: it does not want to be live again
  bool stuck = false;    // its disk has been at one operation for too long (rule R10)
  static void fields(auto& op, auto& m) {
    op(m.epoch);
    op(m.leaving);
    op.since(2, m.stuck);
  }
};
// What a program that does not know of stuck disks cannot read, it is told only where it says something.
std::string encode_sign(const SignOfLife& sign);
std::optional<SignOfLife> decode_sign(ByteSpan bytes);

class BrokerSessions {
 public:
  // self: who keeps them, and is alive as long as it does.
  BrokerSessions(NodeId self, Duration session) : self_(self), session_(session) {}

  // This node begins to lead. `former`: who led before, and when it was last heard of; none: nobody is known.
  void begin(const Image& image, MonotonicTime now, NodeId former, MonotonicTime former_heard);
  void hear(NodeId node, const SignOfLife& sign, MonotonicTime now);

  // Its process has ended, as far as its machine says.
  void end(NodeId node, MonotonicTime now);

  // What must be changed in `image` by now.
  std::vector<ChangeBrokers::Change> due(const Image& image, MonotonicTime now);
  // When due() may have more to say, if nobody is heard until then; never(): not by time alone.
  MonotonicTime next(const Image& image) const;

 private:
  struct Session {
    BrokerEpoch epoch;  // of the registration that it is about
    MonotonicTime heard;
    bool spoke = false;  // since it registered, and since it was fenced
    bool fenced = false;
    bool leaving = false;
    bool stuck = false;
  };
  NodeId self_;
  Duration session_;
  std::map<NodeId, Session> sessions_;
};

}  // namespace chronik::cluster
