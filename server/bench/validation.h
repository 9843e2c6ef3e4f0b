// Whether what was acknowledged is there, and only once: read back from the broker, message by message.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/protocol/messages/fetch.h"
#include "core/protocol/record_batch_records.h"
#include "server/bench/sender.h"

namespace chronik::bench {

inline constexpr std::int32_t kFetchBytes = 1 << 20;  // of one fetch
inline constexpr std::size_t kFindingsMax = 10;       // that are shown

// Calls on_record for each record of a fetch's answer from offset `from` on, checksums verified. Where the next fetch
// begins. kDataLoss: what was fetched is damaged, or has a gap.
using OnRecord = std::function<void(Offset, const protocol::RecordView&)>;
StatusOr<Offset> read_records(const protocol::FetchPartitionResponse& fetched, Offset from, protocol::Codecs& codecs,
                              const OnRecord& on_record);

class Acknowledged {
 public:
  void add(PartitionId partition, Offset offset, ByteSpan value);
  // Reads all of it back. The errors found, in words; empty: there is none. Not ok: it could not be read.
  StatusOr<std::vector<std::string>> verify(RunContext& run);
  std::uint64_t count() const { return count_; }

 private:
  struct Message {
    Offset offset;
    std::uint32_t checksum;  // of its value
  };
  Status verify_partition(RunContext& run, PartitionId partition, std::vector<Message>& messages,
                          std::vector<std::string>& found);

  std::map<PartitionId, std::vector<Message>> messages_;
  std::uint64_t count_ = 0;
};

}  // namespace chronik::bench
