// Clients that several pages have: who asks every node, who makes topics.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>

#include "core/base/time.h"
#include "sim/obligations.h"
#include "sim/scenarios/field/page.h"

namespace chronik::sim {

// Something that must come in time (NO-STUCK). Its end settles it.
class Due {
 public:
  // limit zero: whenever it likes.
  Due(World& world, std::string what, Duration limit) : world_(world) {
    if (limit != Duration::zero()) {
      obligation_ = world.obligations().open(std::move(what), limit);
    }
  }
  ~Due() {
    if (obligation_ != 0) {
      world_.obligations().settle(obligation_);
    }
  }
  Due(const Due&) = delete;
  Due& operator=(const Due&) = delete;

 private:
  World& world_;
  std::uint64_t obligation_ = 0;
};

// ---- who asks every node, over and over ----

struct Asked {
  Duration answered_within = Duration::zero();  // by whoever can be connected to; zero: not judged
  std::string but_for;                          // a node that may be slower, though it answers or hangs up in the end
  std::int64_t pause_most_ms = 400;
  std::map<std::string, std::size_t> brokers = {};  // that each node has listed the last time
  std::uint64_t answers = 0;
};
// ApiVersions, and Metadata of all topics: the leader of a partition is a broker that is listed (CONFORM), or none.
// Until some time after all was healed.
void ask_every_node(ProcessContext& process, GroupBench& bench, Asked& asked);

// ---- who makes topics, and deletes some ----

struct TopicsMade {
  std::int64_t count = 20;
  std::int64_t at_once = 1;  // in one request
  std::int32_t partitions = 3;
  std::int64_t pause_most_ms = 500;
  std::int64_t one_goes_in = 0;             // of so many, one is deleted again; 0: none
  Duration made_within = Duration::zero();  // each request with its repetitions, once all serve; zero: not judged
  bool through_each_in_turn = false;        // one node after the other, not any
  std::function<void()> on_made = nullptr;  // from within its fiber
  std::set<std::string> there = {};         // whose creation was acknowledged
  std::set<std::string> gone = {};          // whose deletion was
  bool done = false;
};
void make_topics(ProcessContext& process, GroupBench& bench, TopicsMade& made);
// Each of them is as was acknowledged, on every node, and all replicas are in sync (META-DURABLE, REPLICA-LIVE).
void expect_topics(const GroupBench& bench, const TopicsMade& made);
// Adds `client` with that program, and the judgement in the end.
void install_topic_maker(GroupBench& bench, const std::string& client, const TopicsMade& wanted);
void install_asker(GroupBench& bench, const std::string& client, const Asked& wanted);

// From now on a commit of each node's metadata takes so long, at most 300 ms.
void slow_down_stores(GroupBench& bench, Duration sync);

}  // namespace chronik::sim
