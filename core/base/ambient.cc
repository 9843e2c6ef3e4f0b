#include "core/base/ambient.h"

namespace chronik {

namespace {
thread_local Ambient* g_ambient = nullptr;
}  // namespace

Ambient* ambient() { return g_ambient; }

Ambient* set_ambient(Ambient* next) {
  Ambient* previous = g_ambient;
  g_ambient = next;
  return previous;
}

ShardId current_shard() {
  const Ambient* now = ambient();
  return now == nullptr || now->context == nullptr ? ShardId::none() : now->context->shard;
}

}  // namespace chronik
