#include "core/client/client.h"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/fiber/scheduler.h"
#include "core/protocol/api_versions.h"

namespace chronik::client {

namespace {
constexpr std::int16_t kMetadataVersion = 12;
constexpr std::int16_t kProduceVersion = 9;
constexpr std::int16_t kFetchVersion = 12;  // the last that names topics by their names
// One vectored write takes at most so many parts and stops gathering at so many bytes.
constexpr std::size_t kPartsPerWrite = 64;
constexpr std::size_t kBytesPerWrite = 256 << 10;

std::int32_t milliseconds_left(const Deadline& deadline) {
  const Duration left = deadline.at() - fiber::Scheduler::current().now();
  return static_cast<std::int32_t>(std::clamp<std::int64_t>(left.milliseconds(), 1, 1 << 30));
}

protocol::ProduceRequest produce_request(const std::string& topic, PartitionId partition, Slice batch,
                                         std::int16_t acks, const Deadline& deadline) {
  protocol::ProduceRequest request;
  request.acks = acks;
  request.timeout_ms = milliseconds_left(deadline);
  auto& asked = request.topic_data.emplace_back();
  asked.name = topic;
  auto& data = asked.partition_data.emplace_back();
  data.index = partition;
  data.records = std::move(batch);
  return request;
}
}  // namespace

StatusOr<std::unique_ptr<Client>> Client::connect(Network& network, const Address& to, const ClientOptions& options,
                                                  const Deadline& deadline) {
  ASSIGN_OR_RETURN(std::unique_ptr<Connection> connection, network.connect(to, deadline));
  return std::make_unique<Client>(std::move(connection), options);
}

// A call whose fiber waits.
class Client::WaitingCall final : public Call {
 public:
  void on_answer(StatusOr<Slice> body) override {
    answer = std::move(body);
    settled.set();
  }
  StatusOr<Slice> answer = Slice();
  fiber::Latch settled;
};

// A request that is never answered, for whoever waits until the connection has taken it. Also whoever is killed then
// leaves no trace of it.
class Client::Handed {
 public:
  explicit Handed(Client& client) : client_(client) {}
  ~Handed() {
    if (!settled.is_set()) {
      client_.outbox_[number - client_.written_ - 1].handed = nullptr;
    }
  }
  Handed(const Handed&) = delete;
  Handed& operator=(const Handed&) = delete;

  std::uint64_t number = 0;  // in the order of writing
  fiber::Latch settled;      // taken, or the connection is broken
  bool taken = false;

 private:
  Client& client_;
};

std::string Client::Call::describe_wait() const {
  return client_ == nullptr
             ? std::string("answered")
             : fmt::format("{} to {}", protocol::api_name(api_), client_->connection_->peer().to_string());
}

void Client::Call::forget() {
  if (client_ != nullptr) {
    std::exchange(client_, nullptr)->pending_.erase(id_);
  }
}

Client::Client(std::unique_ptr<Connection> connection, const ClientOptions& options)
    : Client(std::move(connection), options, fiber::Fiber::current().scope().source()) {}

Client::Client(std::unique_ptr<Connection> connection, const ClientOptions& options, CancelSource& parent)
    : options_(options),
      connection_(std::move(connection)),
      frames_(*connection_),
      last_written_(fiber::Scheduler::current().now()),
      scope_(fiber::Scheduler::current(), parent) {
  scope_.spawn({"client-writer", 0}, [this] { write_requests(); });
  scope_.spawn({"client-reader", 0}, [this] { read_answers(); });
}

Client::~Client() {
  close();
  scope_.cancel_and_join_in_destructor();
  CHECK(pending_.empty());
}

void Client::close() { fail_all(absl::UnavailableError("the client has closed the connection")); }

Status Client::finish(const Deadline& deadline) {
  if (broken_ || !outbox_.empty() || !pending_.empty()) {
    return absl::FailedPreconditionError(broken_ ? "the connection is broken" : "requests are under way");
  }
  connection_->shutdown_write();
  while (!broken_) {
    RETURN_IF_ERROR(
        outgoing_.wait({WaitKind::kNetworkRead, connection_->local().key(), connection_->peer().key(), 0}, deadline));
  }
  return ok();
}

protocol::RequestHeader Client::next_header(protocol::ApiKey api, std::int16_t version) {
  next_id_ = next_id_ == std::numeric_limits<std::int32_t>::max() ? 0 : next_id_ + 1;
  return {.api = api, .version = version, .correlation_id = CorrelationId(next_id_), .client_id = options_.client_id};
}

WaitKey Client::key_of(CorrelationId id) const {
  return {WaitKind::kRequest, connection_->local().key(), connection_->peer().key(),
          static_cast<std::uint64_t>(id.value())};
}

Status Client::begin(const protocol::RequestHeader& header, protocol::Frame frame, Call& call) {
  if (broken_) {
    return absl::FailedPreconditionError("the connection is broken");
  }
  if (pending_.size() >= options_.in_flight_max) {
    return absl::ResourceExhaustedError("too many requests without an answer");
  }
  CHECK(call.client_ == nullptr);
  CHECK(pending_.emplace(header.correlation_id, &call).second);
  call.client_ = this;
  call.id_ = header.correlation_id;
  call.api_ = header.api;
  call.version_ = header.version;
  call.key_ = key_of(header.correlation_id);
  enqueue(std::move(frame));
  return ok();
}

StatusOr<Slice> Client::exchange(const protocol::RequestHeader& header, protocol::Frame frame,
                                 const Deadline& deadline) {
  WaitingCall call;
  RETURN_IF_ERROR(begin(header, std::move(frame), call));
  const Status waited = call.settled.wait(call.key(), deadline, &call);
  if (call.settled.is_set()) {
    return std::move(call.answer);
  }
  return absl::IsDeadlineExceeded(waited) ? absl::UnknownError("no answer by the deadline") : waited;
}

std::uint64_t Client::enqueue(protocol::Frame frame, Handed* handed) {
  outbox_.push_back({std::move(frame), handed});
  outgoing_.notify_all();
  return ++queued_;
}

Status Client::hand_over(protocol::Frame frame, const Deadline& deadline) {
  if (broken_) {
    return absl::FailedPreconditionError("the connection is broken");
  }
  if (outbox_.size() >= options_.in_flight_max) {
    return absl::ResourceExhaustedError("too many requests wait to be written");
  }
  Handed handed(*this);
  handed.number = enqueue(std::move(frame), &handed);
  Status waited = handed.settled.wait(
      {WaitKind::kNetworkWrite, connection_->local().key(), connection_->peer().key(), handed.number}, deadline);
  if (handed.settled.is_set()) {
    return handed.taken ? ok() : absl::UnavailableError("the connection broke");
  }
  return waited;
}

// As many of the first frames as one write takes.
std::size_t Client::gather(std::vector<Slice>& parts) {
  parts.clear();
  std::size_t frames = 0;
  for (std::size_t bytes = 0; frames < outbox_.size() && parts.size() < kPartsPerWrite && bytes < kBytesPerWrite;
       ++frames) {
    protocol::Frame& frame = outbox_[frames].frame;
    bytes += frame.size;
    std::move(frame.parts.begin(), frame.parts.end(), std::back_inserter(parts));
  }
  return frames;
}

void Client::write_requests() {
  std::vector<Slice> parts;
  while (!broken_) {
    if (outbox_.empty()) {
      if (!outgoing_.wait({WaitKind::kWork, 0, 0, 0}, fiber::for_ever()).ok()) {
        return;
      }
      continue;
    }
    const std::size_t frames = gather(parts);
    const Status written = connection_->write(parts, fiber::within(options_.write, Expiry::kPeer));
    if (!written.ok()) {
      return fail_all(written);
    }
    if (!broken_) {
      note_written(frames);
    }
  }
}

void Client::note_written(std::size_t frames) {
  last_written_ = scope_.scheduler().now();
  for (; frames > 0; --frames) {
    ++written_;
    if (Handed* handed = outbox_.front().handed; handed != nullptr) {
      handed->taken = true;
      handed->settled.set();
    }
    outbox_.pop_front();
  }
}

void Client::read_answers() {
  while (!broken_) {
    const Status read = read_answer();
    if (!read.ok()) {
      violation_ = absl::IsInvalidArgument(read) ? read : ok();
      return fail_all(absl::UnavailableError(read.message()));
    }
  }
}

// Requests that are never answered keep the connection alive, too.
StatusOr<std::int32_t> Client::next_length() {
  Deadline idle = fiber::within(options_.idle, Expiry::kNormal);
  for (;;) {
    StatusOr<std::int32_t> length = frames_.length(idle);
    if (!absl::IsDeadlineExceeded(length.status()) || last_written_ + options_.idle <= idle.at()) {
      return length;
    }
    idle = Deadline(last_written_ + options_.idle, Expiry::kNormal, scope_.source());
  }
}

Status Client::read_answer() {
  ASSIGN_OR_RETURN(const std::int32_t size, next_length());
  if (size < 0 || size > options_.frame_bytes_max) {
    return absl::InvalidArgumentError("an answer of a length that cannot be");
  }
  ASSIGN_OR_RETURN(const Slice frame,
                   frames_.body(static_cast<std::size_t>(size), fiber::within(options_.frame, Expiry::kPeer)));
  ASSIGN_OR_RETURN(const CorrelationId id, protocol::peek_correlation_id(frame));
  // Correlation ids rise, but for the one time in two thousand million when they begin anew.
  if (answers_++ > 0 && id <= answered_ && id.value() != 0) {
    return absl::InvalidArgumentError("an answer that is not in the order of the requests");
  }
  answered_ = id;
  const auto found = pending_.find(id);
  if (found == pending_.end()) {
    return ok();  // whoever asked has given up
  }
  Call& call = *found->second;
  StatusOr<protocol::ReceivedResponse> response = protocol::decode_response_header(frame, call.api_, call.version_);
  RETURN_IF_ERROR(response.status());
  call.forget();
  call.on_answer(std::move(response->body));
  return ok();
}

void Client::fail_all(const Status& why) {
  if (broken_) {
    return;
  }
  broken_ = true;
  connection_->close();
  for (const Outgoing& outgoing : outbox_) {
    if (outgoing.handed != nullptr) {
      outgoing.handed->settled.set();
    }
  }
  outbox_.clear();
  outgoing_.notify_all();
  while (!pending_.empty()) {
    Call& call = *pending_.begin()->second;
    call.forget();
    call.on_answer(absl::UnavailableError(why.message()));
  }
}

StatusOr<protocol::MetadataTopic> Client::metadata(const std::string& topic, const Deadline& deadline) {
  protocol::MetadataRequest request;
  request.topics.emplace();
  request.topics->push_back({.topic_id = {}, .name = topic});
  ASSIGN_OR_RETURN(protocol::MetadataResponse response,
                   call<protocol::MetadataResponse>(request, kMetadataVersion, deadline));
  if (response.brokers.empty() && response.topics.empty()) {
    return absl::UnavailableError("the broker does not serve yet");
  }
  if (response.topics.size() != 1) {
    return absl::DataLossError("metadata of another number of topics than asked for");
  }
  return std::move(response.topics.front());
}

StatusOr<protocol::ProducePartitionResponse> Client::produce(const std::string& topic, PartitionId partition,
                                                             Slice batch, std::int16_t acks, const Deadline& deadline) {
  if (acks != 1 && acks != -1) {
    return absl::InvalidArgumentError("acks must be 1 or -1: without an answer there is nothing to wait for");
  }
  const protocol::ProduceRequest request = produce_request(topic, partition, std::move(batch), acks, deadline);
  ASSIGN_OR_RETURN(protocol::ProduceResponse response,
                   call<protocol::ProduceResponse>(request, kProduceVersion, deadline));
  if (response.responses.size() != 1 || response.responses[0].partition_responses.size() != 1) {
    return absl::DataLossError("an answer about other partitions than were produced to");
  }
  return std::move(response.responses[0].partition_responses[0]);
}

Status Client::produce_unanswered(const std::string& topic, PartitionId partition, Slice batch,
                                  const Deadline& deadline) {
  return send(produce_request(topic, partition, std::move(batch), 0, deadline), kProduceVersion, deadline);
}

StatusOr<protocol::FetchPartitionResponse> Client::fetch_waiting(const std::string& topic, PartitionId partition,
                                                                 Offset from, std::int32_t bytes_max, Duration wait,
                                                                 const Deadline& deadline) {
  protocol::FetchRequest request;
  request.max_wait_ms = static_cast<std::int32_t>(std::min<std::int64_t>(wait.milliseconds(), 1 << 30));
  request.min_bytes = wait > Duration::zero() ? 1 : 0;
  request.max_bytes = bytes_max;
  auto& asked = request.topics.emplace_back();
  asked.topic = topic;
  auto& wanted = asked.partitions.emplace_back();
  wanted.partition = partition;
  wanted.fetch_offset = from;
  wanted.current_leader_epoch = LeaderEpoch::none();
  wanted.last_fetched_epoch = LeaderEpoch::none();
  wanted.partition_max_bytes = bytes_max;
  ASSIGN_OR_RETURN(protocol::FetchResponse response, call<protocol::FetchResponse>(request, kFetchVersion, deadline));
  if (response.error_code != protocol::ErrorCode::kNone || response.responses.size() != 1 ||
      response.responses[0].partitions.size() != 1) {
    return absl::DataLossError("an answer about other partitions than were asked for");
  }
  return std::move(response.responses[0].partitions[0]);
}

}  // namespace chronik::client
