// Compares a description with Kafka's message file, version by version. The file is Kafka's JSON (with // comments),
// which stays outside of the project.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/protocol/message_type.h"

namespace chronik::protocol::conformance {

struct Finding {
  std::string where;  // "FetchRequest v12 Topics.Partitions.FetchOffset"
  std::string what;
  bool operator==(const Finding&) const = default;
};

struct Report {
  std::vector<Finding> findings;
  std::vector<std::string> ours;  // tagged fields that Kafka does not know: "FetchRequest.X tag 10001"
  int fields_compared = 0;        // over all versions: shows that something was compared at all
  std::string text() const;
};

Report compare(const MessageTraits& traits, const std::vector<FieldInfo>& fields, std::string_view kafka_json);

}  // namespace chronik::protocol::conformance
