// Producer ids for clients, out of blocks that the controller hands out: one commit for a thousand producers.
//
// No id is ever given twice: a block belongs to this run of this node alone, and what is left of it when the node ends
// is lost.
#pragma once

#include "core/cluster/metadata.h"
#include "core/fiber/turnstile.h"

namespace chronik::broker {

class ProducerIds {
 public:
  // `metadata` outlives this.
  explicit ProducerIds(cluster::Metadata& metadata) : metadata_(metadata) {}

  // The next id. Waits for a commit where the block is used up. Errors as Metadata::propose(); kInternal where the
  // controller refuses, because all ids are used up.
  StatusOr<ProducerId> allocate(const Deadline& deadline);

 private:
  cluster::Metadata& metadata_;
  std::int64_t next_ = 0;
  std::int64_t end_ = 0;  // one past the block
  fiber::Turnstile turnstile_{"producer ids", 0};
};

}  // namespace chronik::broker
