// The table of pages, and of what is none.
#include "sim/scenarios/field/pages.h"

#include <algorithm>
#include <string_view>

namespace chronik::sim {

const Pages& field_pages() {
  static const Pages kAll = [] {
    Pages all;
    for (const Pages& some :
         {pages_on_acknowledging(), pages_on_silence(), pages_on_frozen_nodes(), pages_on_elections(),
          pages_on_metadata(), pages_on_topics(), pages_on_one_log(), pages_on_one_node()}) {
      all.insert(all.end(), some.begin(), some.end());
    }
    std::sort(all.begin(), all.end(), [](const Scenario* a, const Scenario* b) {
      return std::string_view(a->name()) < std::string_view(b->name());
    });
    return all;
  }();
  return kAll;
}

const std::vector<HeldElsewhere>& held_elsewhere() {
  static const std::vector<HeldElsewhere> kAll{
      {"f04", "a membership entry at boot locks what is locked", "membership", false},
      {"f22", "committed offsets on one node only", "consumer-groups", false},
      {"f40", "the metrics are asked for during load, and hang", "tests/server/chronik_server_test.py", false},
      {"f44", "read_committed shows what was aborted", "transactions", true},
      {"f45", "a field of a request is lost in one version", "tests/core/protocol/golden_test.cc", false},
      {"f46", "what is evicted before it was uploaded", "tiered storage", true},
      {"f48", "a proposal for each produce", "f49-records-cost-no-proposals", false},
      {"f56", "what deleted topics leave behind", "topic-loop", false},
      {"f61", "records that wait for connections", "f29-acknowledged-soon-after-the-last-start", false},
      {"f62", "changes that go around the log", "f20-a-restart-after-each-change", false},
      {"f65", "log lines for each message", "server/bench", false},
      {"f66", "a table that is slower than a plain one", "server/bench", false},
  };
  return kAll;
}

}  // namespace chronik::sim
