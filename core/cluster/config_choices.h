// Values and reasons that settings of topics and of brokers share.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <string_view>

namespace chronik::cluster {

inline constexpr std::int64_t kIntMax = std::numeric_limits<std::int32_t>::max();
inline constexpr std::int64_t kLongMax = std::numeric_limits<std::int64_t>::max();
inline constexpr std::string_view kLongMaxText = "9223372036854775807";
inline constexpr std::int64_t kMinuteMs = 60'000;
inline constexpr std::int64_t kHourMs = 60 * kMinuteMs;

inline constexpr std::array<std::string_view, 2> kCleanupPolicies{"compact", "delete"};
inline constexpr std::array<std::string_view, 6> kCompressionTypes{"producer", "uncompressed", "gzip",
                                                                   "snappy",   "lz4",          "zstd"};
inline constexpr std::array<std::string_view, 2> kTimestampTypes{"CreateTime", "LogAppendTime"};
inline constexpr std::string_view kAlwaysSynced =
    "every record is on stable storage before it is acknowledged, so this would have no effect";

}  // namespace chronik::cluster
