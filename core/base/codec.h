// Plain structs as bytes, on disk and between nodes. docs/formats/metadata.md draws what comes out.
//
// A struct says its fields once, in `static void fields(auto& op, auto& m)`; Writer and Reader understand the same
// calls. Integers are little-endian; a string or a sequence begins with its count as u32; a variant with its kind as
// u8; an optional with one byte, 0 or 1. The Reader is total: it never throws, checks each count against the bytes that
// are left before it makes room, and says at the end whether all was well. It accepts only what the Writer writes for
// equal data: one byte sequence for each value.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <absl/container/btree_map.h>

#include "core/base/endian.h"
#include "core/base/persistent_set.h"
#include "core/base/slice.h"
#include "core/base/strong_id.h"
#include "core/base/uuid.h"

namespace chronik {

class Writer;
class Reader;

template <typename T>
concept Described = requires(Writer& op, T& m) {
  std::remove_const_t<T>::fields(op, m);
};
template <typename T>
concept Numbered = requires(T n) {
  typename T::value_type;
  { n.value() } -> std::integral;
};

class Writer {
 public:
  template <typename T>
  void operator()(const T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      put<std::uint8_t>(value ? 1 : 0);
    } else if constexpr (std::is_enum_v<T>) {
      put(static_cast<std::underlying_type_t<T>>(value));
    } else if constexpr (std::integral<T>) {
      put(value);
    } else if constexpr (Numbered<T>) {
      put(value.value());
    } else {
      write(value);
    }
  }

  // A field that earlier versions of its format lack: see Reader::set_format().
  template <typename T>
  void since(int /*version*/, const T& value) {
    (*this)(value);
  }

  std::string take() { return std::move(bytes_); }

 private:
  template <std::integral T>
  void put(T value) {
    const std::size_t at = bytes_.size();
    bytes_.resize(at + sizeof value);
    store_little(reinterpret_cast<std::uint8_t*>(bytes_.data() + at), value);
  }
  void count(std::size_t n) {
    CHECK_LE(n, std::size_t{UINT32_MAX});
    put(static_cast<std::uint32_t>(n));
  }
  void write(const std::string& text) {
    count(text.size());
    bytes_.append(text);
  }
  void write(const Slice& bytes) {
    count(bytes.size());
    bytes_.append(bytes.text());
  }
  void write(const Uuid& id) { bytes_.append(as_text(id.bytes)); }
  template <typename T>
  void write(const std::optional<T>& value) {
    put<std::uint8_t>(value.has_value() ? 1 : 0);
    if (value.has_value()) {
      (*this)(*value);
    }
  }
  template <typename K, typename V, typename Less>
  void write(const absl::btree_map<K, V, Less>& map) {
    count(map.size());
    for (const auto& [key, value] : map) {
      (*this)(key);
      (*this)(value);
    }
  }
  template <typename V, typename K>
  void write(const PersistentSet<V, K>& set) {
    count(set.size());
    set.for_each([this](const V& value) { (*this)(value); });
  }
  template <typename T>
  void write(const Ref<T>& object) {
    (*this)(*object);
  }
  template <typename... T>
  void write(const std::variant<T...>& value) {
    put(static_cast<std::uint8_t>(value.index()));
    std::visit([this](const auto& held) { (*this)(held); }, value);
  }
  template <typename T>
  void write(const T& value) {
    if constexpr (Described<const T>) {
      T::fields(*this, value);
    } else {  // a vector of any kind
      count(value.size());
      for (const auto& element : value) {
        (*this)(element);
      }
    }
  }

  std::string bytes_;
};

class Reader {
 public:
  explicit Reader(ByteSpan bytes) : bytes_(bytes) {}

  // True if nothing was wrong so far and no byte is left.
  bool complete() const { return ok_ && bytes_.empty(); }
  bool ok() const { return ok_; }
  void fail() {
    ok_ = false;
    bytes_ = {};
  }

  // Which version of the format the bytes are; the newest, unless said.
  void set_format(int version) { format_ = version; }
  template <typename T>
  void since(int version, T& value) {
    if (format_ >= version) {
      (*this)(value);
    }
  }

  // Reads into `value`; after a failure, values are left as they are.
  template <typename T>
  void operator()(T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      const auto byte = get<std::uint8_t>();
      value = byte == 1;
      if (byte > 1) {
        fail();
      }
    } else if constexpr (std::is_enum_v<T>) {
      value = static_cast<T>(get<std::underlying_type_t<T>>());
    } else if constexpr (std::integral<T>) {
      value = get<T>();
    } else if constexpr (Numbered<T>) {
      value = T(get<typename T::value_type>());
    } else {
      read(value);
    }
  }

 private:
  template <std::integral T>
  T get() {
    if (bytes_.size() < sizeof(T)) {
      fail();
      return T{};
    }
    const T value = load_little<T>(bytes_.data());
    bytes_ = bytes_.subspan(sizeof(T));
    return value;
  }
  // A count of elements, each at least one byte long.
  std::size_t count() {
    const std::size_t n = get<std::uint32_t>();
    if (n > bytes_.size()) {
      fail();
      return 0;
    }
    return n;
  }
  void read(std::string& text) {
    const std::size_t size = count();
    text.assign(as_text(bytes_.first(size)));
    bytes_ = bytes_.subspan(size);
  }
  void read(Slice& bytes) {
    const std::size_t size = count();
    bytes = Slice::copy_of(bytes_.first(size));
    bytes_ = bytes_.subspan(size);
  }
  void read(Uuid& id) {
    for (std::uint8_t& byte : id.bytes) {
      byte = get<std::uint8_t>();
    }
  }
  template <typename T>
  void read(std::optional<T>& value) {
    bool present = false;
    (*this)(present);
    if (present) {
      value.emplace();
      (*this)(*value);
    }
  }
  template <typename K, typename V, typename Less>
  void read(absl::btree_map<K, V, Less>& map) {
    for (std::size_t left = count(); left > 0 && ok_; --left) {
      K key{};
      V value{};
      (*this)(key);
      (*this)(value);
      if (!map.empty() && !(map.rbegin()->first < key)) {
        fail();
        return;
      }
      map.emplace_hint(map.end(), std::move(key), std::move(value));
    }
  }
  template <typename V, typename KeyOf>
  void read(PersistentSet<V, KeyOf>& set) {
    std::vector<V> values;
    for (std::size_t left = count(); left > 0 && ok_; --left) {
      V value{};
      (*this)(value);
      if (!ok_ || (!values.empty() && !(KeyOf{}(values.back()) < KeyOf{}(value)))) {
        fail();
        return;
      }
      values.push_back(std::move(value));
    }
    set = PersistentSet<V, KeyOf>::from_sorted(std::move(values));
  }
  template <typename T>
  void read(Ref<const T>& object) {
    T value;
    (*this)(value);
    object = Ref<const T>::make(value);
  }
  template <typename... T>
  void read(std::variant<T...>& value) {
    const std::size_t kind = get<std::uint8_t>();
    if (kind >= sizeof...(T)) {
      fail();
      return;
    }
    read_alternative(value, kind, std::index_sequence_for<T...>{});
  }
  template <typename... T, std::size_t... I>
  void read_alternative(std::variant<T...>& value, std::size_t kind, std::index_sequence<I...>) {
    (void)((I == kind && ((*this)(value.template emplace<I>()), true)) || ...);
  }
  template <typename T>
  void read(T& value) {
    if constexpr (Described<T>) {
      T::fields(*this, value);
    } else {  // a vector of any kind
      for (std::size_t left = count(); left > 0 && ok_; --left) {
        value.emplace_back();
        (*this)(value.back());
      }
    }
  }

  ByteSpan bytes_;
  bool ok_ = true;
  int format_ = std::numeric_limits<int>::max();
};

}  // namespace chronik
