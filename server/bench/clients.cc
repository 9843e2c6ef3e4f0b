#include "server/bench/clients.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "core/protocol/record_batch_walk.h"
#include "server/bench/messages.h"

namespace chronik::bench {

namespace {

using protocol::ErrorCode;

constexpr Duration kPauseAfterFailure = Duration::milliseconds(100);

// What the loops of all modes share.
class BenchClient {
 public:
  BenchClient(ClientContext& context, std::uint64_t nth)
      : context_(context),
        run_(context.run),
        options_(context.run.options),
        nth_(nth),
        lane_(context.run.cluster),
        maker_(context.run.options, context.seed, nth) {}

  void run() {
    while (const std::optional<Meter::Claim> claim = run_.meter.claim()) {
      const StatusOr<Done> done = operate();
      if (done.ok()) {
        run_.meter.succeeded(*claim, done->messages, done->bytes);
        continue;
      }
      run_.meter.failed(*claim, server::message_of(done.status()));
      if (absl::IsCancelled(done.status()) || absl::IsAborted(done.status()) ||
          !fiber::sleep(kPauseAfterFailure).ok()) {
        return;
      }
    }
    if (options_.acks == 0 && !lane_.finish(request_deadline())) {
      ++context_.unfinished;
    }
  }

 private:
  struct Done {
    std::uint64_t messages = 0;
    std::uint64_t bytes = 0;
  };

  StatusOr<Done> operate() {
    switch (options_.mode) {
      case Mode::kProduce: return produce();
      case Mode::kConsume: return consume();
      case Mode::kRoundTrip: return round_trip();
      case Mode::kMetadata: return metadata();
    }
    UNREACHABLE("a mode");
  }
  Deadline request_deadline() const { return fiber::within(options_.request_timeout, Expiry::kPeer); }
  void find(std::string what) {
    if (context_.findings.size() < kFindingsMax) {
      context_.findings.push_back(std::move(what));
    }
  }

  StatusOr<Done> produce();
  StatusOr<Done> consume();
  StatusOr<Done> round_trip();
  StatusOr<Done> metadata();
  // The next message on its way; where it went.
  StatusOr<std::pair<PartitionId, Offset>> send_next();
  StatusOr<protocol::FetchPartitionResponse> fetch(PartitionId partition, Offset from, std::int32_t bytes,
                                                   Duration wait);

  ClientContext& context_;
  RunContext& run_;
  const BenchOptions& options_;
  std::uint64_t nth_;
  Lane lane_;
  MessageMaker maker_;
  // Of a consumer.
  std::int32_t reads_ = 0;              // operations so far: partitions take turns
  std::map<PartitionId, Offset> next_;  // where to go on
};

StatusOr<std::pair<PartitionId, Offset>> BenchClient::send_next() {
  maker_.next();
  const PartitionId partition = maker_.partition(run_.cluster.partitions());
  protocol::RecordInput record;
  record.timestamp = run_.ports.clock.wall();
  record.key = maker_.key();
  record.value = maker_.value();
  ASSIGN_OR_RETURN(const Offset offset, context_.sender.send(lane_, partition, record));
  return std::pair(partition, offset);
}

StatusOr<BenchClient::Done> BenchClient::produce() {
  ASSIGN_OR_RETURN(const auto sent, send_next());
  if (options_.validate) {
    context_.acknowledged.add(sent.first, sent.second, maker_.value());
  }
  return Done{.messages = 1, .bytes = maker_.size()};
}

StatusOr<protocol::FetchPartitionResponse> BenchClient::fetch(PartitionId partition, Offset from, std::int32_t bytes,
                                                              Duration wait) {
  const Deadline deadline = request_deadline();
  ASSIGN_OR_RETURN(const std::shared_ptr<client::Client> client, lane_.to_leader(partition, deadline));
  ASSIGN_OR_RETURN(protocol::FetchPartitionResponse fetched,
                   client->fetch_waiting(options_.topic, partition, from, bytes, wait, deadline));
  if (fetched.error_code != ErrorCode::kNone && fetched.error_code != ErrorCode::kOffsetOutOfRange) {
    return absl::FailedPreconditionError(fmt::format("fetch of {}-{} at {}: {}", options_.topic, partition.value(),
                                                     from.value(), protocol::error_name(fetched.error_code)));
  }
  return fetched;
}

StatusOr<BenchClient::Done> BenchClient::consume() {
  const std::int32_t partitions = run_.cluster.partitions();
  const PartitionId partition((static_cast<std::int32_t>(nth_) + reads_++) % partitions);
  Offset& next = next_.try_emplace(partition, Offset(0)).first->second;
  ASSIGN_OR_RETURN(const protocol::FetchPartitionResponse fetched,
                   fetch(partition, next, kFetchBytes, Duration::zero()));
  if (fetched.error_code == ErrorCode::kOffsetOutOfRange || next >= fetched.high_watermark) {
    if (next == fetched.log_start_offset) {
      return absl::NotFoundError(fmt::format("{}-{} is empty", options_.topic, partition.value()));
    }
    next = fetched.log_start_offset;  // to its end: from the start again
    return Done{};
  }
  Done done;
  if (options_.validate) {
    const StatusOr<Offset> read =
        read_records(fetched, next, run_.codecs, [&](Offset, const protocol::RecordView& record) {
          ++done.messages;
          done.bytes += record.key_bytes.size() + record.value_bytes.size();
        });
    if (!read.ok()) {
      find(fmt::format("{}-{}: {}", options_.topic, partition.value(), server::message_of(read.status())));
      return read.status();
    }
    next = *read;
    return done;
  }
  const Slice bytes = fetched.records.value_or(Slice());
  protocol::BatchWalk walk(bytes.bytes(), protocol::BatchWalk::Checksums::kTrust);
  protocol::RecordBatchView batch;
  while (walk.next(batch)) {
    done.messages += static_cast<std::uint64_t>(batch.next_offset() - std::max(next, batch.base_offset()));
    done.bytes += batch.size_bytes();
    next = batch.next_offset();
  }
  return done.messages > 0 ? StatusOr<Done>(done) : absl::DataLossError("a fetch without a whole batch");
}

StatusOr<BenchClient::Done> BenchClient::round_trip() {
  ASSIGN_OR_RETURN(const auto sent, send_next());
  const auto [partition, offset] = sent;
  // An answer has one batch at least, however few bytes are asked for.
  ASSIGN_OR_RETURN(const protocol::FetchPartitionResponse fetched,
                   fetch(partition, offset, 1, options_.request_timeout));
  bool seen = false;
  bool same = false;
  const StatusOr<Offset> read =
      read_records(fetched, offset, run_.codecs, [&, at = offset](Offset found, const protocol::RecordView& record) {
        if (found == at) {
          seen = true;
          same = std::ranges::equal(record.value_bytes, maker_.value());
        }
      });
  if (!read.ok() || !seen || !same) {
    const std::string why = !read.ok() ? server::message_of(read.status())
                            : seen     ? "holds other bytes than were sent"
                                       : "acknowledged, and not there";
    find(fmt::format("{}-{} at offset {}: {}", options_.topic, partition.value(), offset.value(), why));
    return absl::DataLossError(why);
  }
  return Done{.messages = 1, .bytes = maker_.size()};
}

StatusOr<BenchClient::Done> BenchClient::metadata() {
  const Deadline deadline = request_deadline();
  ASSIGN_OR_RETURN(const std::shared_ptr<client::Client> client, lane_.to_leader(PartitionId(0), deadline));
  ASSIGN_OR_RETURN(const protocol::MetadataTopic topic, client->metadata(options_.topic, deadline));
  if (topic.error_code != ErrorCode::kNone) {
    return absl::FailedPreconditionError(
        fmt::format("metadata of {}: {}", options_.topic, protocol::error_name(topic.error_code)));
  }
  if (options_.validate && (topic.name != options_.topic ||
                            topic.partitions.size() != static_cast<std::size_t>(run_.cluster.partitions()))) {
    find(fmt::format("metadata of {}: of another topic, or with {} partitions instead of {}", options_.topic,
                     topic.partitions.size(), run_.cluster.partitions()));
    return absl::DataLossError("metadata differ");
  }
  return Done{.messages = 1, .bytes = 0};
}

}  // namespace

void be_client(ClientContext& context, std::uint64_t nth) { BenchClient(context, nth).run(); }

}  // namespace chronik::bench
