// The table of APIs: which versions are advertised, and which a handler may really get.
//
// Advertised and implemented differ for Produce alone: versions 0 to 2 are advertised and refused, as Kafka 4 does,
// since older librdkafka sends uncompressed where the broker's range does not include Produce 0 (KAFKA-18659).
// Rule: Fetch from 13 on goes together with Metadata 12 and CreateTopics 7 (topic ids).
#pragma once

#include <span>
#include <string_view>

#include "core/protocol/message_type.h"

namespace chronik::protocol {

struct Api {
  ApiKey key;
  std::string_view name;
  VersionRange advertised;
  VersionRange implemented;
  std::int16_t flexible_since;
  const MessageType& (*request)();
  const MessageType& (*response)();
};

// All APIs of the table, by ascending key.
std::span<const Api> all_apis();
// Null for an API that is not in the table.
const Api* find_api(ApiKey key);
// "Fetch", or "Unknown".
std::string_view api_name(ApiKey key);

}  // namespace chronik::protocol
