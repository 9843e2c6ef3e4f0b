// The table of scenarios. A new one is a file beside this one and a line here, or a page in field/.
#include "sim/scenarios/scenarios.h"

#include "sim/scenarios/field/pages.h"

namespace chronik::sim {

const std::vector<const Scenario*>& scenarios() {
  static const std::vector<const Scenario*> others{
      echo_scenario(),
      steady_scenario(),
      node_kill_scenario(),
      failed_sync_scenario(),
      hung_sync_scenario(),
      slow_disk_scenario(),
      full_disk_scenario(),
      bit_rot_scenario(),
      restart_storm_scenario(),
      clock_steps_scenario(),
      bad_clients_scenario(),
      malformed_scenario(),
      idle_scenario(),
      topic_loop_scenario(),
      retention_scenario(),
      stamped_ahead_scenario(),
      three_nodes_scenario(),
      replicated_scenario(),
      replicated_steady_scenario(),
      reassigned_scenario(),
      unclean_scenario(),
      forwarded_scenario(),
      pipelined_scenario(),
      pipelined_forwarded_scenario(),
      rotten_replica_scenario(),
      lost_replica_scenario(),
      restored_scenario(),
      copied_scenario(),
      limit_scenario(),
      stuck_disk_scenario(),
      cut_off_scenario(),
      healed_core_scenario(),
      membership_scenario(),
      one_disk_scenario(),
      rolling_scenario(),
      rejoined_scenario(),
      topic_storm_scenario(),
      overtaken_scenario(),
      jepsen_scenario(),
      consumer_groups_scenario(),
      compacted_scenario(),
  };
  static const std::vector<const Scenario*> joined = [] {
    std::vector<const Scenario*> all = others;
    all.insert(all.end(), field_pages().begin(), field_pages().end());
    return all;
  }();
  return joined;
}

}  // namespace chronik::sim
