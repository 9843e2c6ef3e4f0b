// `chronik-server cluster waits`: who waits for whom over all nodes of a cluster that hangs, for people.
#pragma once

#include "server/settings.h"

namespace chronik::server {

// Asks all nodes, joins what they say, prints it, and returns the exit status: 0: no deadlock, and every node has
// answered.
int print_cluster_waits(const AdminAccess& access);

}  // namespace chronik::server
