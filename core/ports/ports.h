// All ports of one shard, handed to a node by whoever builds it. None may be null.
#pragma once

#include "core/ports/clock.h"
#include "core/ports/disk.h"
#include "core/ports/key_value_store.h"
#include "core/ports/mailbox.h"
#include "core/ports/network.h"
#include "core/ports/process.h"
#include "core/ports/random.h"

namespace chronik {

struct Ports {
  Clock& clock;
  Random& random;
  Network& network;
  Disk& disk;
  KeyValueStore& store;
  Mailbox& mailbox;
  Process& process;
};

}  // namespace chronik
