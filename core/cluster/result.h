// What became of a command: kept in the image, so that a retry is answered like the first try (rule R17).
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/protocol/errors.h"

namespace chronik::cluster {

// Kafka's numbers; they are part of the snapshot's format.
using protocol::ErrorCode;

// What became of one item of a command: of one topic, one resource.
struct ItemResult {
  ErrorCode error = ErrorCode::kNone;
  std::string message;  // for people; empty where there is no error

  bool ok() const { return error == ErrorCode::kNone; }
  friend bool operator==(const ItemResult&, const ItemResult&) = default;
  static void fields(auto& op, auto& m) {
    op(m.error);
    op(m.message);
  }
};

inline ItemResult refused(ErrorCode error, std::string message) {
  return {.error = error, .message = std::move(message)};
}

struct CommandResult {
  ItemResult whole;               // why nothing of the command was done; else none
  std::vector<ItemResult> items;  // one for each item of the command, in its order; empty where it has no items
  std::int64_t value = -1;        // RegisterBroker: the broker epoch; AllocateProducerIds: the first id of the block

  friend bool operator==(const CommandResult&, const CommandResult&) = default;
  static void fields(auto& op, auto& m) {
    op(m.whole);
    op(m.items);
    op(m.value);
  }
};

}  // namespace chronik::cluster
