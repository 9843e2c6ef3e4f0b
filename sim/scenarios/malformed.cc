// Malformed requests among good ones: frames of noise, of impossible lengths, cut short, with one byte changed, and
// whole requests full of random values. They end their own connection at most, in bounded time, and nobody else's.
#include <fmt/core.h>

#include "core/base/endian.h"
#include "core/fiber/wait.h"
#include "core/protocol/headers.h"
#include "core/protocol/messages/api_versions.h"
#include "core/protocol/messages/fetch.h"
#include "core/protocol/messages/list_offsets.h"
#include "core/protocol/messages/produce.h"
#include "sim/disk_faults.h"
#include "sim/knobs.h"
#include "sim/scenarios/one_node.h"
#include "sim/scenarios/scenarios.h"

namespace chronik::sim {

namespace {

enum class Mischief : std::uint8_t { kNoise, kLength, kCut, kFlip, kRandomFields };
constexpr const char* kMischiefNames[] = {"frame of noise", "impossible length", "frame cut short", "changed byte",
                                          "random fields"};
// From the last byte sent and "no more bytes" to the end: the broker's idle time and its request time, with room.
constexpr Duration kEndWithin = Duration::seconds(100);

template <typename M>
Slice random_request(Random& random, bool random_fields, std::int16_t version) {
  const M request = random_fields ? protocol::generate<M>(random, version) : M();
  const protocol::RequestHeader header{
      .api = M::kTraits.api, .version = version, .correlation_id = CorrelationId(7), .client_id = "vandal"};
  return protocol::encode_request(header, request).flat();
}

Slice some_request(Random& random, bool random_fields) {
  switch (random.next() % 4) {
    case 0: return random_request<protocol::ProduceRequest>(random, random_fields, 9);
    case 1: return random_request<protocol::FetchRequest>(random, random_fields, 12);
    case 2: return random_request<protocol::ListOffsetsRequest>(random, random_fields, 6);
    default: return random_request<protocol::ApiVersionsRequest>(random, random_fields, 3);
  }
}

Slice malformed_bytes(Random& random, Mischief mischief) {
  Slice bytes = some_request(random, mischief == Mischief::kRandomFields);
  const std::uint64_t at = random.next() % bytes.size();
  switch (mischief) {
    case Mischief::kNoise:
      for (std::size_t i = 4; i < bytes.size(); ++i) {
        bytes.mutable_data()[i] = static_cast<std::uint8_t>(random.next());
      }
      return bytes;
    case Mischief::kLength: store_big(bytes.mutable_data(), static_cast<std::uint32_t>(random.next())); return bytes;
    case Mischief::kCut: return bytes.sub(0, at);
    case Mischief::kFlip:
      bytes.mutable_data()[at] = static_cast<std::uint8_t>(bytes[at] ^ (1u << random.next() % 8));
      return bytes;
    case Mischief::kRandomFields: return bytes;
  }
  return bytes;
}

// Sends it, says "no more bytes", and reads to the end.
void misbehave(ProcessContext& process, Mischief mischief) {
  StatusOr<std::vector<Address>> found = process.ports.network.resolve("node", kNodePort, node_patience());
  if (!found.ok()) {
    return;
  }
  StatusOr<std::unique_ptr<Connection>> connection = process.ports.network.connect(found->front(), node_patience());
  if (!connection.ok()) {
    return;
  }
  const Slice bytes = malformed_bytes(process.ports.random, mischief);
  World& world = process.machine.world();
  world.fault_fired(kMischiefNames[static_cast<std::size_t>(mischief)]);
  if (!(*connection)->write({&bytes, 1}, node_patience()).ok()) {
    return;
  }
  (*connection)->shutdown_write();
  const Deadline end = fiber::within(kEndWithin, Expiry::kNormal);
  std::uint8_t into[512];
  for (;;) {
    const StatusOr<std::size_t> got = (*connection)->read({into, sizeof into}, end);
    if (absl::IsDeadlineExceeded(got.status())) {
      world.fail("CONFORM", std::string("the connection is still there after a ") +
                                kMischiefNames[static_cast<std::size_t>(mischief)]);
    }
    if (!got.ok() || *got == 0) {
      return;
    }
  }
}

void run_vandal(ProcessContext& process, OneNodeState& state) {
  while (state.world.now() < state.healed) {
    misbehave(process, static_cast<Mischief>(process.ports.random.next() % std::size(kMischiefNames)));
    sleep_between(process, 1, 400);
  }
}

class Malformed final : public OneNode {
 public:
  const char* name() const override { return "malformed"; }
  const char* description() const override { return "one node, good clients, and some that send nonsense"; }
  std::vector<std::string> announced_faults() const override {
    return {std::begin(kMischiefNames), std::end(kMischiefNames)};
  }

 protected:
  OneNodeRules rules() const override { return {.consumer_is_prompt = true, .connections_last = true}; }

  void draw_faults(Plan& plan, Draws& draws, const std::vector<std::string>& /*names*/) const override {
    const std::int64_t vandals = draws.between(1, 3);
    for (std::int64_t i = 1; i <= vandals; ++i) {
      plan.machines.push_back(draw_machine(fmt::format("vandal-{}", i), "vandal", draws));
    }
  }

  void prepare(World& world, const Plan& /*plan*/, Nemesis& /*nemesis*/, OneNodeState& state) const override {
    for (const std::unique_ptr<Machine>& machine : world.machines()) {
      if (machine->name().starts_with("vandal-")) {
        machine->install([&state](ProcessContext& process) { run_vandal(process, state); });
      }
    }
  }
};

}  // namespace

const Scenario* malformed_scenario() {
  static const Malformed scenario;
  return &scenario;
}

}  // namespace chronik::sim
