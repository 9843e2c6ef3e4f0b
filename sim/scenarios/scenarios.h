// Where each file of this folder says what scenario it holds.
#pragma once

#include "sim/scenario.h"

namespace chronik::sim {

const Scenario* canary_scenario();                       // not one of scenarios()
const std::vector<const Scenario*>& frozen_scenarios();  // nor these
const Scenario* canary_race_scenario();
const Scenario* echo_scenario();
const Scenario* steady_scenario();
const Scenario* node_kill_scenario();
const Scenario* failed_sync_scenario();
const Scenario* hung_sync_scenario();
const Scenario* slow_disk_scenario();
const Scenario* full_disk_scenario();
const Scenario* bit_rot_scenario();
const Scenario* restart_storm_scenario();
const Scenario* clock_steps_scenario();
const Scenario* bad_clients_scenario();
const Scenario* malformed_scenario();
const Scenario* idle_scenario();
const Scenario* topic_loop_scenario();
const Scenario* retention_scenario();
const Scenario* stamped_ahead_scenario();
const Scenario* three_nodes_scenario();
const Scenario* replicated_scenario();
const Scenario* replicated_steady_scenario();
const Scenario* reassigned_scenario();
const Scenario* unclean_scenario();
const Scenario* forwarded_scenario();
const Scenario* pipelined_scenario();
const Scenario* pipelined_forwarded_scenario();
const Scenario* rotten_replica_scenario();
const Scenario* lost_replica_scenario();
const Scenario* restored_scenario();
const Scenario* copied_scenario();
const Scenario* limit_scenario();
const Scenario* stuck_disk_scenario();
const Scenario* cut_off_scenario();
const Scenario* healed_core_scenario();
const Scenario* membership_scenario();
const Scenario* one_disk_scenario();
const Scenario* rolling_scenario();
const Scenario* rejoined_scenario();
const Scenario* overtaken_scenario();
const Scenario* topic_storm_scenario();
const Scenario* jepsen_scenario();
const Scenario* consumer_groups_scenario();
const Scenario* compacted_scenario();

}  // namespace chronik::sim
