// A message type as a value: what tests, fuzz targets and tools need to treat all messages alike.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/protocol/message.h"

namespace chronik::protocol {

// One field of a description. The conformance test compares these with Kafka's message files.
struct FieldInfo {
  std::string name;
  std::string type;  // Kafka's word: "int32", "string", "records", "struct", "[]int32", "[]struct"
  VersionRange versions;
  VersionRange nullable;             // within `versions`; empty where null never is allowed
  std::optional<std::uint32_t> tag;  // tagged in all its versions, or in none
  bool ours = false;                 // a tagged field that Kafka does not know
  std::string default_value;         // "0", "false", "", "null", "00000000-…" and the like
  std::vector<FieldInfo> fields;     // of "struct" and "[]struct"
};

struct MessageType {
  MessageTraits traits;

  std::vector<FieldInfo> (*describe)();
  // A random message of that version, encoded.
  Slice (*generate)(Random& random, std::int16_t version);
  // Decodes and encodes again. Fails as decode() does.
  StatusOr<Slice> (*reencode)(const Slice& body, std::int16_t version);
  // The log text of an encoded message.
  StatusOr<std::string> (*text)(const Slice& body, std::int16_t version);
  // Generates a message and sees that its encoding has the size announced, decodes to an equal message, and leaves no
  // byte over. kInternal with the message's text where it does not.
  Status (*round_trip)(Random& random, std::int16_t version);
};

}  // namespace chronik::protocol
