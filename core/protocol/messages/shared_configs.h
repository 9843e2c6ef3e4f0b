// Numbers that the APIs about configuration share.
#pragma once

#include <cstdint>

#include "core/protocol/message.h"

namespace chronik::protocol {

// What a setting belongs to.
inline constexpr std::int8_t kResourceTopic = 2;
inline constexpr std::int8_t kResourceBroker = 4;
inline constexpr std::int8_t kResourceBrokerLogger = 8;

// Where the value of a setting comes from.
inline constexpr std::int8_t kConfigSourceUnknown = -1;
inline constexpr std::int8_t kConfigSourceTopic = 1;
inline constexpr std::int8_t kConfigSourceDynamicBroker = 2;
inline constexpr std::int8_t kConfigSourceDynamicDefaultBroker = 3;
inline constexpr std::int8_t kConfigSourceStaticBroker = 4;
inline constexpr std::int8_t kConfigSourceDefault = 5;

// What a value is.
inline constexpr std::int8_t kConfigTypeUnknown = 0;
inline constexpr std::int8_t kConfigTypeBoolean = 1;
inline constexpr std::int8_t kConfigTypeString = 2;
inline constexpr std::int8_t kConfigTypeInt = 3;
inline constexpr std::int8_t kConfigTypeShort = 4;
inline constexpr std::int8_t kConfigTypeLong = 5;
inline constexpr std::int8_t kConfigTypeDouble = 6;
inline constexpr std::int8_t kConfigTypeList = 7;
inline constexpr std::int8_t kConfigTypeClass = 8;
inline constexpr std::int8_t kConfigTypePassword = 9;

// What IncrementalAlterConfigs does to a setting.
inline constexpr std::int8_t kConfigSet = 0;
inline constexpr std::int8_t kConfigDelete = 1;
inline constexpr std::int8_t kConfigAppend = 2;
inline constexpr std::int8_t kConfigSubtract = 3;

}  // namespace chronik::protocol
