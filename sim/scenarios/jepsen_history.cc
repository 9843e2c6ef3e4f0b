#include "sim/scenarios/jepsen_history.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace chronik::sim::jepsen {

namespace {

const char* edn_of(Type type) {
  switch (type) {
    case Type::kInvoke: return ":invoke";
    case Type::kOk: return ":ok";
    case Type::kInfo: return ":info";
    case Type::kFail: return ":fail";
  }
  return "nil";
}

const char* edn_of(Verb verb) {
  switch (verb) {
    case Verb::kAssign: return ":assign";
    case Verb::kSubscribe: return ":subscribe";
    case Verb::kCrash: return ":crash";
    case Verb::kSend: return ":send";
    case Verb::kPoll: return ":poll";
    case Verb::kTxn: return ":txn";
  }
  return "nil";
}

std::string edn_of(const MicroOp& op) {
  if (op.sends) {
    return op.done ? fmt::format("[:send {} [{} {}]]", op.key, op.offset, op.value)
                   : fmt::format("[:send {} {}]", op.key, op.value);
  }
  if (!op.done) {
    return "[:poll]";
  }
  std::string keys;
  for (const auto& [key, pairs] : op.polled) {
    std::string of_key;
    for (const auto& [offset, value] : pairs) {
      of_key += fmt::format("{}[{} {}]", of_key.empty() ? "" : " ", offset, value);
    }
    keys += fmt::format("{}{} [{}]", keys.empty() ? "" : ", ", key, of_key);
  }
  return fmt::format("[:poll {{{}}}]", keys);
}

// Those that were polled in the operation at which what its process owns changed.
std::set<Key> rebalanced_keys(const Operation& operation) {
  std::set<Key> keys;
  for (const MicroOp& op : operation.micro) {
    for (const auto& [key, pairs] : op.polled) {
      keys.insert(key);
    }
  }
  return keys;
}

std::string value_of(const Operation& operation) {
  std::string parts;
  switch (operation.verb) {
    case Verb::kCrash: return "nil";
    case Verb::kAssign:
    case Verb::kSubscribe:
      for (const Key key : operation.keys) {
        parts += fmt::format("{}{}", parts.empty() ? "" : " ", key);
      }
      break;
    default:
      for (const MicroOp& op : operation.micro) {
        parts += (parts.empty() ? "" : " ") + edn_of(op);
      }
  }
  return "[" + parts + "]";
}

}  // namespace

Verb verb_of(const std::vector<MicroOp>& micro) {
  const auto sends = std::count_if(micro.begin(), micro.end(), [](const MicroOp& op) { return op.sends; });
  return sends == 0 ? Verb::kPoll : static_cast<std::size_t>(sends) == micro.size() ? Verb::kSend : Verb::kTxn;
}

std::string to_edn(const History& history) {
  std::string text;
  for (std::size_t index = 0; index < history.size(); ++index) {
    const Operation& operation = history[index];
    text += fmt::format("{{:index {}, :time {}, :type {}, :process {}, :f {}, :value {}", index,
                        (operation.at - VirtualTime::zero()).nanoseconds(), edn_of(operation.type), operation.process,
                        edn_of(operation.verb), value_of(operation));
    if (operation.from_the_start) {
      text += ", :seek-to-beginning? true";
    }
    if (std::any_of(operation.micro.begin(), operation.micro.end(), [](const MicroOp& op) { return op.rebalanced; })) {
      text += fmt::format(", :rebalance-log [{{:keys [{}]}}]", fmt::join(rebalanced_keys(operation), " "));
    }
    if (!operation.error.empty()) {
      text += fmt::format(", :error :{}", operation.error);
    }
    text += "}\n";
  }
  return text;
}

}  // namespace chronik::sim::jepsen
