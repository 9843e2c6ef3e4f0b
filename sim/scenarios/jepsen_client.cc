// A client of the scenario `jepsen`: its operations one after the other, each written into the history when it begins
// and when it has ended.
#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "core/fiber/wait.h"
#include "sim/scenarios/jepsen_parts.h"
#include "sim/scenarios/one_node.h"

namespace chronik::sim {

namespace {

using jepsen::Key;
using jepsen::MicroOp;
using jepsen::Operation;
using jepsen::Type;
using jepsen::Verb;

constexpr Duration kSendsAfterHealing = Duration::seconds(5);
constexpr Duration kFinalPollsAnew = Duration::seconds(20);  // then whoever has not got all begins again

class JepsenClient {
 public:
  JepsenClient(ProcessContext& process, JepsenState& state)
      : process_(process), state_(state), world_(*state.world), thread_(state.threads.at(process.machine.name())) {
    open();
  }

  void run() {
    for (const PlanOperation& planned : thread_.operations) {
      if (world_.now() >= state_.healed + kSendsAfterHealing) {
        break;
      }
      if (world_.now() < state_.healed) {
        static_cast<void>(fiber::sleep(Duration::nanoseconds(planned.number("pause_ns"))));
      }
      carry_out(planned);
    }
    thread_.tired = true;
    while (!state_.all_tired()) {
      static_cast<void>(fiber::sleep(Duration::milliseconds(200)));
    }
    poll_everything();
    thread_.done = true;
  }

 private:
  // What a process has: it ends with the process.
  struct Parts {
    Parts(ProcessContext& process, JepsenState& state)
        : leaders(process, state), producer(process, state, leaders), consumer(process, state, leaders) {}
    JepsenLeaders leaders;
    JepsenProducer producer;
    JepsenConsumer consumer;
  };

  void open() { parts_ = std::make_unique<Parts>(process_, state_); }
  void go_on_as_another() {
    thread_.process += static_cast<std::int64_t>(state_.threads.size());
    open();
  }

  void record(Operation operation, Type type) {
    operation.process = thread_.process;
    operation.type = type;
    operation.at = world_.now();
    world_.trace().record(Record::kClient, state_.history.size(), static_cast<std::uint64_t>(type));
    state_.history.push_back(std::move(operation));
  }

  // ---- the operations of the plan ----

  void carry_out(const PlanOperation& planned) {
    if (planned.verb == "crash") {
      return crash();
    }
    if (planned.verb == "subscribe") {
      return subscribe();
    }
    if (planned.verb == "assign") {
      keys_ = keys_of(planned.number("keys"));
      return assign(keys_, false);
    }
    std::vector<MicroOp> micro;
    for (int nth = 1; planned.numbers.contains(fmt::format("m{}", nth)); ++nth) {
      const std::int64_t what = planned.number(fmt::format("m{}", nth));  // 0: a poll; else a send to the key below it
      MicroOp& op = micro.emplace_back();
      op.sends = what > 0;
      if (op.sends) {
        op.key = static_cast<Key>(static_cast<std::size_t>(what - 1) % state_.known_end.size());
        op.value = ++state_.next_value[static_cast<std::size_t>(op.key)];
      }
    }
    if (!parts_->consumer.assigned() && verb_of(micro) != Verb::kSend) {
      begin_to_poll();
    }
    transact(std::move(micro));
  }

  // The keys whose bits are set; never none.
  std::vector<Key> keys_of(std::int64_t bits) const {
    std::vector<Key> keys;
    for (std::size_t key = 0; key < state_.known_end.size(); ++key) {
      if (((bits >> key) & 1) != 0) {
        keys.push_back(static_cast<Key>(key));
      }
    }
    return keys.empty() ? std::vector<Key>{0} : keys;
  }

  void assign(const std::vector<Key>& keys, bool from_the_start) {
    const Operation operation{.verb = Verb::kAssign, .keys = keys, .from_the_start = from_the_start};
    record(operation, Type::kInvoke);
    parts_->consumer.assign(keys, from_the_start);
    subscribed_ = false;
    record(operation, Type::kOk);
  }

  void subscribe() {
    const Operation operation{.verb = Verb::kSubscribe, .keys = keys_of(-1)};
    record(operation, Type::kInvoke);
    parts_->consumer.subscribe();
    subscribed_ = true;
    record(operation, Type::kOk);
  }

  // As the process before did.
  void begin_to_poll() { return subscribed_ ? subscribe() : assign(keys_, false); }

  void crash() {
    Operation operation{.verb = Verb::kCrash};
    record(operation, Type::kInvoke);
    operation.error = "crashed";
    record(std::move(operation), Type::kInfo);
    go_on_as_another();
  }

  void transact(std::vector<MicroOp> micro) {
    Operation operation{.verb = verb_of(micro), .micro = std::move(micro)};
    record(operation, Type::kInvoke);
    const JepsenPositions before = parts_->consumer.positions();
    Type ended = Type::kOk;
    for (std::size_t i = 0; i < operation.micro.size() && ended == Type::kOk; ++i) {
      MicroOp& op = operation.micro[i];
      if (!op.sends) {
        parts_->consumer.poll(op);
        op.done = true;
      } else if (!op.done) {
        ended = send(operation, i);
      }
    }
    const bool rebalanced =
        std::any_of(operation.micro.begin(), operation.micro.end(), [](const MicroOp& op) { return op.rebalanced; });
    if (ended == Type::kOk && verb_of(operation.micro) != Verb::kSend) {
      parts_->consumer.commit();
    }
    record(std::move(operation), ended);
    if (ended == Type::kInfo) {
      world_.fault_fired("unknown outcome");
      go_on_as_another();
    } else if (ended == Type::kFail && !rebalanced) {
      parts_->consumer.rewind(before);
    }
  }

  // The send at `at`, and with it those behind it that go to the same key, where producers linger.
  Type send(Operation& operation, std::size_t at) {
    const Key key = operation.micro[at].key;
    std::vector<MicroOp*> together;
    for (std::size_t i = at; i < operation.micro.size() && (together.empty() || state_.lingers); ++i) {
      if (operation.micro[i].sends && operation.micro[i].key == key) {
        together.push_back(&operation.micro[i]);
      }
    }
    std::vector<jepsen::Value> values;
    for (const MicroOp* op : together) {
      values.push_back(op->value);
    }
    const JepsenProducer::Delivery delivery = parts_->producer.deliver(key, values);
    if (delivery.kind != JepsenProducer::Delivery::Kind::kTaken) {
      operation.error = delivery.error;
      const bool nothing_sent = std::none_of(operation.micro.begin(), operation.micro.end(),
                                             [](const MicroOp& op) { return op.sends && op.done; });
      return delivery.kind == JepsenProducer::Delivery::Kind::kRefused && nothing_sent ? Type::kFail : Type::kInfo;
    }
    std::int64_t offset = delivery.base_offset;
    for (MicroOp* op : together) {
      op->offset = offset++;
      op->done = true;
    }
    std::int64_t& known_end = state_.known_end[static_cast<std::size_t>(key)];
    known_end = std::max(known_end, offset);
    return Type::kOk;
  }

  // ---- the end ----

  void poll_everything() {
    do {
      crash();
      assign(keys_of(-1), true);
      const VirtualTime until = world_.now() + kFinalPollsAnew;
      while (!parts_->consumer.knows_everything() && world_.now() < until) {
        transact(std::vector<MicroOp>(1));
        sleep_between(process_, 20, 200);
      }
    } while (!parts_->consumer.knows_everything());
  }

  ProcessContext& process_;
  JepsenState& state_;
  World& world_;
  JepsenState::Thread& thread_;
  std::unique_ptr<Parts> parts_;
  std::vector<Key> keys_ = {0};  // that were assigned last
  bool subscribed_ = false;      // since
};

}  // namespace

void run_jepsen_client(ProcessContext& process, JepsenState& state) { JepsenClient(process, state).run(); }

}  // namespace chronik::sim
