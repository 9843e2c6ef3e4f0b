// The decorators of logged_ports.h, one factory each; how values become the data of a PortReturn.
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>

#include "core/base/check.h"
#include "core/base/crc32c.h"
#include "core/base/mix.h"
#include "core/ports/ports.h"
#include "runtime/log_session.h"

namespace chronik::runtime {

std::unique_ptr<Network> make_logged_network(LogSession& session, Network* real);
std::unique_ptr<Disk> make_logged_disk(LogSession& session, Disk* real);
std::unique_ptr<KeyValueStore> make_logged_store(LogSession& session, KeyValueStore* real);

namespace logged {

// ---- values as data: fixed-size ones as they lie in memory (a log is read by the build that wrote it) ----
template <typename T>
void put(std::string& data, const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  data.append(reinterpret_cast<const char*>(&value), sizeof(value));
}
inline void put_text(std::string& data, std::string_view text) {
  put(data, text.size());
  data += text;
}
template <typename T>
T take(std::string_view& data) {
  CHECK_GE(data.size(), sizeof(T));
  T value;
  std::memcpy(&value, data.data(), sizeof(T));
  data.remove_prefix(sizeof(T));
  return value;
}
inline std::string take_text(std::string_view& data) {
  const std::size_t size = take<std::size_t>(data);
  CHECK_GE(data.size(), size);
  std::string text(data.substr(0, size));
  data.remove_prefix(size);
  return text;
}

template <typename T>
PortReturn give(const T& value) {
  PortReturn out;
  put(out.data, value);
  return out;
}
template <typename T>
T value_of(const PortReturn& returned) {
  std::string_view data = returned.data;
  return take<T>(data);
}

// ---- arguments as a fingerprint ----
inline std::uint64_t print(std::string_view text) { return mix(crc32c(as_bytes(text)), text.size()); }
inline std::uint64_t print(const Slice& slice) { return mix(crc32c(slice.bytes()), slice.size()); }

}  // namespace logged
}  // namespace chronik::runtime
