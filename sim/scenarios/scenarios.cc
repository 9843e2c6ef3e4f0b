// The table of scenarios. A new one is a file beside this one and a line here.
#include "sim/scenarios/scenarios.h"

namespace chronik::sim {

const std::vector<const Scenario*>& scenarios() {
  static const std::vector<const Scenario*> kAll{
      echo_scenario(),
      node_kill_scenario(),
  };
  return kAll;
}

}  // namespace chronik::sim
