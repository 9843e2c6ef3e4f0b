// Any bytes on a client's connection to a broker. Whatever they are: the broker answers the requests among them in
// their order, each with a message of its API and version; it ends the connection when the client has gone; and
// another client's connection never notices.
//
// A broker to which an input has written something is thrown away, so that what an input does depends on it alone.
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>

#include "core/base/endian.h"
#include "core/protocol/api_versions.h"
#include "core/protocol/frame_reader.h"
#include "core/protocol/headers.h"
#include "core/protocol/messages/api_versions.h"
#include "core/protocol/messages/produce.h"
#include "fuzz/simulated_broker.h"
#include "sim/stacks.h"

namespace chronik::fuzz {
namespace {

using protocol::RequestHeader;

constexpr std::int32_t kAnswerBytesMax = 64 << 20;
// Without a byte for so long, nothing more is expected to come.
constexpr Duration kQuiet = Duration::seconds(1);
constexpr Duration kPatience = Duration::seconds(10);
// A broker that is full of an earlier client's requests looks at its connection again when the first of them ends.
constexpr Duration kGoneMax = Duration::seconds(300);

Deadline within(Duration duration) { return fiber::within(duration, Expiry::kNormal); }

bool goes_unanswered(const protocol::ReceivedRequest& request) {
  if (request.header.api != protocol::ApiKey::kProduce) {
    return false;
  }
  const auto produce = protocol::decode<protocol::ProduceRequest>(request.body, request.header.version);
  return produce.ok() && produce->acks == 0;
}

// The requests among the bytes that are answered, up to the first that cannot be.
std::deque<RequestHeader> requests_in(const Slice& bytes) {
  std::deque<RequestHeader> requests;
  std::size_t at = 0;
  while (bytes.size() - at >= protocol::kFrameLengthBytes) {
    const std::int32_t size = load_big<std::int32_t>(bytes.data() + at);
    at += protocol::kFrameLengthBytes;
    if (size < 0 || static_cast<std::size_t>(size) > bytes.size() - at) {
      break;
    }
    const auto request = protocol::decode_request_header(bytes.sub(at, static_cast<std::size_t>(size)));
    if (!request.ok()) {
      break;
    }
    if (!goes_unanswered(*request)) {
      requests.push_back(request->header);
    }
    at += static_cast<std::size_t>(size);
  }
  return requests;
}

void check_body(const RequestHeader& request, const Slice& frame) {
  const protocol::Api& api = *protocol::find_api(request.api);
  std::int16_t version = request.version;
  if (!api.implemented.contains(version)) {
    CHECK_EQ(request.api, protocol::ApiKey::kApiVersions);
    version = 0;
  }
  const protocol::ReceivedResponse response = checked(protocol::decode_response_header(frame, request.api, version));
  CHECK_EQ(response.correlation_id, request.correlation_id);
  CHECK(checked(api.response().reencode(response.body, version)) == response.body);
}

// Reads answers until all have come, the broker has closed, or nothing comes any more.
void read_answers(Connection& connection, std::deque<RequestHeader> requests) {
  protocol::FrameReader frames(connection);
  while (!requests.empty()) {
    const StatusOr<std::int32_t> size = frames.length(within(kQuiet));
    if (!size.ok()) {
      return;
    }
    CHECK_GE(*size, 4);
    CHECK_LE(*size, kAnswerBytesMax);
    const StatusOr<Slice> frame = frames.body(static_cast<std::size_t>(*size), within(kPatience));
    if (!frame.ok()) {
      CHECK(!absl::IsDeadlineExceeded(frame.status()));
      return;
    }
    check_body(requests.front(), *frame);
    requests.pop_front();
  }
}

// A client that does everything right.
class Neighbour {
 public:
  explicit Neighbour(std::unique_ptr<Connection> connection)
      : connection_(std::move(connection)), frames_(*connection_) {}

  void ask() {
    constexpr std::int16_t kVersion = 4;
    protocol::ApiVersionsRequest asked;
    asked.client_software_name = "neighbour";
    asked.client_software_version = "1";
    const protocol::Frame request = protocol::encode_request({.api = protocol::ApiKey::kApiVersions,
                                                              .version = kVersion,
                                                              .correlation_id = CorrelationId(1),
                                                              .client_id = "neighbour"},
                                                             asked);
    CHECK_OK(connection_->write(request.parts, within(kPatience)));
    const std::int32_t size = checked(frames_.length(within(kPatience)));
    const Slice frame = checked(frames_.body(static_cast<std::size_t>(size), within(kPatience)));
    const Slice body = checked(protocol::decode_response_header(frame, protocol::ApiKey::kApiVersions, kVersion)).body;
    const auto response = checked(protocol::decode<protocol::ApiVersionsResponse>(body, kVersion));
    CHECK_EQ(response.error_code, protocol::ErrorCode::kNone);
    CHECK_EQ(response.api_keys.size(), protocol::all_apis().size());
  }

 private:
  std::unique_ptr<Connection> connection_;
  protocol::FrameReader frames_;
};

void wait_for_connections(const SimulatedBroker& broker, std::size_t wanted) {
  Duration waited = Duration::zero();
  for (Duration pause = Duration::milliseconds(1); broker.node().server().connections() != wanted; pause = pause * 2) {
    CHECK_LT(waited.nanoseconds(), kGoneMax.nanoseconds());
    CHECK_OK(fiber::sleep(pause));
    waited = waited + pause;
  }
}

void visit(const SimulatedBroker& broker, Network& network, ByteSpan input) {
  Neighbour neighbour(checked(broker.connect(network)));
  {
    const std::unique_ptr<Connection> connection = checked(broker.connect(network));
    const Slice bytes = Slice::copy_of(input);
    if (connection->write({&bytes, 1}, within(kQuiet)).ok()) {
      read_answers(*connection, requests_in(bytes));
    }
  }
  wait_for_connections(broker, 1);
  CHECK_EQ(broker.node().server().request_bytes().used(), 0U);
  neighbour.ask();
}

}  // namespace
}  // namespace chronik::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);   // NOLINT: libFuzzer's name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {  // NOLINT: as above
  static chronik::sim::StackArena stacks;
  static std::optional<chronik::fuzz::SimulatedBroker> broker;
  if (!broker.has_value()) {
    broker.emplace(stacks);
  }
  broker->run([&](chronik::Network& network) { chronik::fuzz::visit(*broker, network, {data, size}); });
  if (broker->changed()) {
    broker.reset();
  }
  return 0;
}
