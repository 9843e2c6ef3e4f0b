// What a client may do, as bits by the numbers of Kafka's ACL operations. There is no access control: everybody may do
// everything that there is to be done.
#pragma once

#include <cstdint>

namespace chronik::broker {

enum class Operation : std::uint8_t {
  kRead = 3,
  kWrite = 4,
  kCreate = 5,
  kDelete = 6,
  kAlter = 7,
  kDescribe = 8,
  kClusterAction = 9,
  kDescribeConfigs = 10,
  kAlterConfigs = 11,
  kIdempotentWrite = 12,
};

template <typename... Operations>
constexpr std::int32_t bits_of(Operations... operations) {
  return ((1 << static_cast<int>(operations)) | ...);
}

inline constexpr std::int32_t kTopicOperations =
    bits_of(Operation::kRead, Operation::kWrite, Operation::kCreate, Operation::kDelete, Operation::kAlter,
            Operation::kDescribe, Operation::kDescribeConfigs, Operation::kAlterConfigs);
inline constexpr std::int32_t kGroupOperations = bits_of(Operation::kRead, Operation::kDelete, Operation::kDescribe);
inline constexpr std::int32_t kClusterOperations =
    bits_of(Operation::kCreate, Operation::kAlter, Operation::kDescribe, Operation::kClusterAction,
            Operation::kDescribeConfigs, Operation::kAlterConfigs, Operation::kIdempotentWrite);

}  // namespace chronik::broker
