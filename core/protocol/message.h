// A message of Kafka's protocol: what can be done with it, and the words its description is made of.
//
// A message is a plain struct with one description of its fields, written in the order of the wire:
//
//   struct FetchPartition {
//     PartitionId partition;
//     LeaderEpoch current_leader_epoch;
//     Uuid replica_directory_id;
//     bool operator==(const FetchPartition&) const = default;
//     static void fields(auto& op, auto& m) {
//       op.field("Partition", since(0), m.partition);
//       op.field("CurrentLeaderEpoch", since(9), m.current_leader_epoch);
//       op.tagged(0, "ReplicaDirectoryId", since(17), m.replica_directory_id);   // tagged fields last, by ascending
//       tag
//     }
//   };
//
// Names are Kafka's own (a test compares descriptions with Kafka's message files). The default of a field is what its
// member starts with. Its type on the wire follows from the member's type; the verbs are
//   op.field(name, versions, member)                    int*, bool, double, enums, strong ids, Uuid, std::string,
//                                                       Slice (bytes), arrays of these, arrays of structs
//   op.field(name, versions, member, nullable_since(v)) the same as std::optional: null is allowed from version v on
//   op.sole(name, versions, array)                      in these versions one value stands where later ones have an
//   op.sole(versions, array)                            array: without a name, the fields of one struct (none tagged).
//                                                       Read as an array of one; of what is sent, the first
//   op.records(name, versions, member, nullable_since)  std::optional<Slice>: record batches, by reference both ways
//   op.tagged(tag, name, versions, member[, default])   left out where it equals the default (T{} where none is given)
//   op.tagged(tag, name, versions, member, nullable_since(v))
//   op.tagged_ours(tag, name, versions, member)         a tagged field that Kafka does not know
//
// The functions below are defined in codec.h and instantiated once for each message, in the .cc beside its header
// (CHRONIK_MESSAGE): code that only uses messages never sees the codec.
//
// What is sent and cannot be said in the version asked for is dropped: a field of another version is left out, a null
// becomes an empty value where that version has no null, and a string is cut at 32,767 bytes. What a client can bring
// about must not crash the broker.
#pragma once

#include <absl/container/inlined_vector.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/base/slice.h"
#include "core/base/status.h"
#include "core/ports/random.h"
#include "core/protocol/api_key.h"

namespace chronik::protocol {

struct VersionRange {
  std::int16_t min = 0;
  std::int16_t max = -1;  // inclusive; below min: no version at all
  constexpr bool contains(std::int16_t version) const { return version >= min && version <= max; }
  friend constexpr bool operator==(const VersionRange&, const VersionRange&) = default;
};
inline constexpr std::int16_t kNewestVersion = std::numeric_limits<std::int16_t>::max();
constexpr VersionRange since(std::int16_t min) { return {min, kNewestVersion}; }
constexpr VersionRange versions(std::int16_t min, std::int16_t max) { return {min, max}; }

// From this version on a field may be null.
struct Nullable {
  std::int16_t from = 0;
};
constexpr Nullable nullable_since(std::int16_t version) { return {version}; }

enum class MessageKind { kRequest, kResponse };

struct MessageTraits {
  const char* name;  // as Kafka's: "FetchRequest"
  ApiKey api;
  MessageKind kind;
  VersionRange versions;        // that the description covers
  std::int16_t flexible_since;  // the first version with compact lengths and tagged fields

  constexpr bool flexible(std::int16_t version) const { return version >= flexible_since; }
};
inline constexpr std::int16_t kNeverFlexible = kNewestVersion;

// One answer or request as it goes to the socket, its 4-byte length included. The parts are meant for one vectored
// write; those that are records are the very slices that the message held.
struct Frame {
  absl::InlinedVector<Slice, 1> parts;
  std::size_t size = 0;

  // All bytes in one buffer, for tests and for what is never large.
  Slice flat() const;
};

// Its length stands in 31 bits.
inline constexpr std::size_t kFrameBytesMax = std::numeric_limits<std::int32_t>::max();

struct RequestHeader;
struct MessageType;

// Decodes a message without its header. Records and bytes of the result are slices of `body` and keep it alive.
// kInvalidArgument, with field and position, where the bytes are not such a message; kOutOfRange for a version that
// the description does not cover. Bytes after the end of the message are ignored, as Kafka does.
template <typename M>
StatusOr<M> decode(const Slice& body, std::int16_t version);

// Bytes of the message without header and length.
template <typename M>
std::size_t encoded_size(const M& message, std::int16_t version);
template <typename M>
Slice encode(const M& message, std::int16_t version);

// A whole frame. The header's own version follows from the message's. kResourceExhausted: the answer would have more
// bytes than that, without the records that it refers to, or more than a frame may have.
template <typename M>
StatusOr<Frame> encode_response(CorrelationId correlation_id, const M& message, std::int16_t version,
                                std::size_t bytes_max = kFrameBytesMax);
template <typename M>
Frame encode_request(const RequestHeader& header, const M& message);

// One line for a log, bounded in length; bytes and records appear as their size.
template <typename M>
std::string to_text(const M& message, std::int16_t version);

// A message as that version can carry it: whatever the version does not have keeps its default.
template <typename M>
M generate(Random& random, std::int16_t version);

// The message as a value, for code that deals with all of them.
template <typename M>
const MessageType& message_type();

}  // namespace chronik::protocol
