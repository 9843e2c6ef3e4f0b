// Clients and a server that sends back what it gets, under everything that the network, kills, suspensions and clocks
// can do.
//
// Judged: what comes back is what was sent, in order (ECHO); each request is answered, or its connection ends, by its
// deadline (NO-STUCK); once all is healed, every client gets everything done (ECHO-LIVE).
#include <fmt/core.h>

#include <memory>
#include <utility>

#include "core/base/endian.h"
#include "core/fiber/scope.h"
#include "core/fiber/wait.h"
#include "sim/fault_draws.h"
#include "sim/knobs.h"
#include "sim/machine.h"
#include "sim/obligations.h"
#include "sim/scenarios/scenarios.h"

namespace chronik::sim {

namespace {

constexpr std::uint16_t kPort = 7;
constexpr std::size_t kHeaderBytes = 13;  // length of the rest, id, what to do
constexpr std::size_t kPayloadMost = 4096;
constexpr std::uint8_t kEcho = 0;
constexpr std::uint8_t kPoison = 1;  // the server ends itself
constexpr Duration kPatience = Duration::seconds(15);

Deadline patience() { return fiber::within(kPatience, Expiry::kPeer); }

Status read_exactly(Connection& connection, MutableByteSpan into, const Deadline& deadline) {
  while (!into.empty()) {
    ASSIGN_OR_RETURN(const std::size_t got, connection.read(into, deadline));
    if (got == 0) {
      return absl::UnavailableError("the peer closed");
    }
    into = into.subspan(got);
  }
  return ok();
}

// A frame, header included.
StatusOr<Slice> read_frame(Connection& connection, const Deadline& first_byte, Duration rest) {
  std::uint8_t header[kHeaderBytes];
  RETURN_IF_ERROR(read_exactly(connection, {header, 1}, first_byte));
  const Deadline deadline = fiber::within(rest, Expiry::kPeer);
  RETURN_IF_ERROR(read_exactly(connection, {header + 1, kHeaderBytes - 1}, deadline));
  const std::size_t payload = load_big<std::uint32_t>(header);
  if (payload > kPayloadMost) {
    return absl::DataLossError("a frame longer than any that is sent");
  }
  const Slice frame = Slice::allocate(kHeaderBytes + payload);
  std::memcpy(frame.mutable_data(), header, kHeaderBytes);
  RETURN_IF_ERROR(read_exactly(connection, frame.mutable_bytes().subspan(kHeaderBytes), deadline));
  return frame;
}

Slice make_frame(std::uint64_t id, std::uint8_t what, std::size_t payload) {
  const Slice frame = Slice::allocate(kHeaderBytes + payload);
  store_big(frame.mutable_data(), static_cast<std::uint32_t>(payload));
  store_big(frame.mutable_data() + 4, id);
  frame.mutable_data()[12] = what;
  for (std::size_t i = 0; i < payload; ++i) {
    frame.mutable_data()[kHeaderBytes + i] = static_cast<std::uint8_t>(mix(id, i));
  }
  return frame;
}

// ---- the server ----

void serve_connection(Connection& connection, Ports& ports) {
  for (;;) {
    // An idle client may have gone without a word: so this wait ends, too.
    const StatusOr<Slice> frame =
        read_frame(connection, fiber::within(Duration::seconds(60), Expiry::kNormal), kPatience);
    if (!frame.ok()) {
      return;
    }
    if ((*frame)[12] == kPoison) {
      ports.process.fatal(ExitStatus::kBug, "poisoned");
    }
    const Slice part = *frame;
    if (!connection.write({&part, 1}, patience()).ok()) {
      return;
    }
  }
}

void serve(ProcessContext& process) {
  StatusOr<std::unique_ptr<Listener>> listener = process.ports.network.listen(Address::ipv4(0, 0, 0, 0, kPort));
  CHECK_OK(listener.status());
  for (std::uint64_t number = 0;; ++number) {
    StatusOr<std::unique_ptr<Connection>> accepted = (*listener)->accept(fiber::for_ever());
    if (absl::IsResourceExhausted(accepted.status())) {
      static_cast<void>(fiber::sleep(Duration::milliseconds(10)));
      continue;
    }
    if (!accepted.ok()) {
      return;
    }
    process.scope.spawn({"connection", number}, [connection = *std::move(accepted), &process] {
      serve_connection(*connection, process.ports);
    });
  }
}

// ---- the clients ----

// What is still to be done, and who judges it. Belongs to the scenario: a client that is killed goes on from here.
struct EchoState final : ScenarioState {
  struct Client {
    std::vector<PlanOperation> operations;
    std::size_t done = 0;
  };
  std::map<std::string, Client> clients;
  std::size_t window = 1;
};

// One connection's worth of work, until everything is done or the connection fails.
class Session {
 public:
  Session(ProcessContext& process, EchoState::Client& client, std::size_t window, Connection& connection)
      : process_(process), client_(client), window_(window), connection_(connection), sent_(client.done) {}

  void run() {
    fiber::FiberScope writers;
    writers.spawn({"writer", 0}, [this] { write_all(); });
    while (client_.done < client_.operations.size() && read_one()) {
    }
    connection_.close();
    writers.cancel_and_join();
  }

 private:
  World& world() { return process_.machine.world(); }

  void write_all() {
    for (; sent_ < client_.operations.size(); ++sent_) {
      while (sent_ - client_.done >= window_) {
        if (!room_.wait(WaitKey{WaitKind::kBudget, 1, 0, 0}, fiber::for_ever()).ok()) {
          return;
        }
      }
      const PlanOperation& operation = client_.operations[sent_];
      const bool poison = operation.verb == "poison";
      if (!fiber::sleep(Duration::nanoseconds(operation.number("pause_ns"))).ok()) {
        return;
      }
      const Slice frame =
          make_frame(operation.id, poison ? kPoison : kEcho, static_cast<std::size_t>(operation.number("bytes")));
      if (!connection_.write({&frame, 1}, patience()).ok()) {
        return;
      }
      if (poison) {
        // Never answered; and nothing behind it, on this connection.
        client_.done = ++sent_;
        world().trace().record(Record::kClient, operation.id, 1);
        connection_.close();
        return;
      }
    }
  }

  bool read_one() {
    const std::size_t expected = client_.done;
    const PlanOperation& operation = client_.operations[expected];
    struct Promise {
      Obligations& obligations;
      std::uint64_t id;
      ~Promise() { obligations.settle(id); }
    } const promise{world().obligations(),
                    world().obligations().open(fmt::format("{}: echo of {}", process_.machine.name(), operation.id),
                                               kPatience * 3 + Duration::nanoseconds(operation.number("pause_ns")))};
    const Duration pause = Duration::nanoseconds(operation.number("pause_ns"));
    const StatusOr<Slice> frame = read_frame(connection_, fiber::within(kPatience + pause, Expiry::kPeer), kPatience);
    if (!frame.ok() || client_.done != expected) {
      return false;
    }
    world().trace().record(Record::kClient, operation.id, 0);
    if (*frame != make_frame(operation.id, kEcho, static_cast<std::size_t>(operation.number("bytes")))) {
      world().fail("ECHO", fmt::format("{} got other bytes back for {} than it sent, or out of order",
                                       process_.machine.name(), operation.id));
      return false;
    }
    ++client_.done;
    room_.notify_all();
    return true;
  }

  ProcessContext& process_;
  EchoState::Client& client_;
  std::size_t window_;
  Connection& connection_;
  fiber::Event room_;
  std::size_t sent_;
};

void run_client(ProcessContext& process, EchoState& state) {
  EchoState::Client& client = state.clients[process.machine.name()];
  while (client.done < client.operations.size()) {
    const StatusOr<std::vector<Address>> found = process.ports.network.resolve("server", kPort, patience());
    if (found.ok()) {
      StatusOr<std::unique_ptr<Connection>> connection =
          process.ports.network.connect(found->front(), fiber::within(Duration::seconds(5), Expiry::kNormal));
      if (connection.ok()) {
        Session(process, client, state.window, **connection).run();
      }
    }
    static_cast<void>(
        fiber::sleep(Duration::milliseconds(static_cast<std::int64_t>(20 + process.ports.random.next() % 200))));
  }
}

// ---- the scenario ----

class Echo final : public Scenario {
 public:
  const char* name() const override { return "echo"; }
  const char* description() const override {
    return "clients and an echo server under network faults, deaths and clocks";
  }
  std::vector<std::string> announced_faults() const override {
    std::vector<std::string> names = network_fault_names();
    for (const std::string& name : death_fault_names()) {
      names.push_back(name);
    }
    names.insert(names.end(), {"suspend", "clock step", "fatal exit"});
    return names;
  }
  std::vector<std::string> promises() const override { return {"ECHO", "ECHO-LIVE", "NO-STUCK", "NO-SPIN"}; }

  Plan generate(std::uint64_t seed) const override {
    Draws draws(seed, "plan", mix_text(name()));
    Plan plan = draw_plan(*this, seed, draws);
    plan.lasts = Duration::seconds(20);
    plan.calm = Duration::seconds(80);
    plan.knobs["window"] = draws.magnitude(1, 8);
    std::vector<std::string> names{"server"};
    plan.machines.push_back(draw_machine("server", "server", draws));
    const std::int64_t clients = draws.magnitude(1, 6);
    const bool poison = draws.below(4) == 0;
    for (std::int64_t i = 1; i <= clients; ++i) {
      names.push_back(fmt::format("client-{}", i));
      plan.machines.push_back(draw_machine(names.back(), "client", draws));
      const std::int64_t operations = draws.magnitude(1, 60);
      for (std::int64_t k = 0; k < operations; ++k) {
        PlanOperation& operation = plan.operations.emplace_back();
        operation.id = plan.operations.size();
        operation.machine = names.back();
        operation.verb = poison && draws.below(30) == 0 ? "poison" : "send";
        operation.numbers["bytes"] = draws.magnitude(1, kPayloadMost) - 1;
        operation.numbers["pause_ns"] = draws.below(2) == 0 ? 0 : draws.magnitude(1'000, 2'000'000'000);
      }
    }
    draw_network_faults(plan, draws.child("network", 0), names);
    draw_deaths(plan, draws.child("deaths", 0), names);
    draw_suspensions(plan, draws.child("suspensions", 0), names);
    draw_clock_steps(plan, draws.child("clock steps", 0), names);
    return plan;
  }

  std::unique_ptr<ScenarioState> build(World& world, const Plan& plan, Nemesis& nemesis) const override {
    auto state = std::make_unique<EchoState>();
    state->window = static_cast<std::size_t>(plan.knob("window", 1));
    for (const PlanOperation& operation : plan.operations) {
      state->clients[operation.machine].operations.push_back(operation);
    }
    for (const PlanMachine& planned : plan.machines) {
      Machine& machine = add_planned_machine(world, planned);
      if (planned.role == "server") {
        machine.install(serve);
        machine.on_exit([&world, &machine, &nemesis](const Exit& exit) {
          if (exit.how == Death::kFatal) {
            world.fault_fired("fatal exit");
            nemesis.restart(machine, Duration::milliseconds(300));
          }
        });
      } else {
        machine.install([state = state.get()](ProcessContext& process) { run_client(process, *state); });
      }
      machine.start();
    }
    return state;
  }

  void at_end(World& world, ScenarioState& state) const override {
    for (const auto& [name, client] : static_cast<EchoState&>(state).clients) {
      if (client.done < client.operations.size()) {
        world.fail("ECHO-LIVE", fmt::format("{} got {} of {} done, {} s after all was healed\n{}", name, client.done,
                                            client.operations.size(), 80, world.describe_waits()));
        return;
      }
    }
  }
};

}  // namespace

const Scenario* echo_scenario() {
  static const Echo scenario;
  return &scenario;
}

}  // namespace chronik::sim
