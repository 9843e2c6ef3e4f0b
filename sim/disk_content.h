// The bytes of one simulated disk block, shared by every version and every clone that has them.
//
// A world holds many disks, and a test that crashes at every operation holds many clones of one: a block therefore
// costs memory only for what was written to it, and only once. Bytes behind the written prefix are one constant, so
// that fills and holes cost nothing (rule S11). Not for several threads: the counts are plain integers. Invariant: a
// page that two contents share is never written to.
#pragma once

#include <cstdint>
#include <utility>

#include "core/base/slice.h"

namespace chronik::sim {

inline constexpr std::uint32_t kBlockBytes = 4096;  // the unit of survival
inline constexpr std::uint32_t kSectorBytes = 512;  // the unit that a device writes whole, usually

// A counted pointer without atomics; T derives from Counted.
class Counted {
 public:
  Counted() = default;
  Counted(const Counted& /*other*/) {}  // a copy starts without owners
  Counted& operator=(const Counted&) = delete;

 protected:
  ~Counted() = default;

 private:
  template <typename T>
  friend class Shared;
  std::uint32_t owners_ = 0;
};

template <typename T>
class Shared {
 public:
  Shared() = default;
  explicit Shared(T* object) : object_(object) { retain(); }
  Shared(const Shared& other) : object_(other.object_) { retain(); }
  Shared(Shared&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Shared& operator=(Shared other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Shared() {
    if (object_ != nullptr && --object_->owners_ == 0) {
      delete object_;
    }
  }

  explicit operator bool() const { return object_ != nullptr; }
  const T& operator*() const { return *object_; }
  const T* operator->() const { return object_; }
  const T* get() const { return object_; }
  // The object, owned by nobody else: copied first where it is shared.
  T& own() {
    CHECK(object_ != nullptr);
    if (object_->owners_ > 1) {
      *this = Shared(new T(*object_));
    }
    return *object_;
  }
  friend bool operator==(const Shared& a, const Shared& b) { return a.object_ == b.object_; }

 private:
  void retain() const {
    if (object_ != nullptr) {
      ++object_->owners_;
    }
  }
  T* object_ = nullptr;
};

class Content {
 public:
  Content() = default;  // zeros
  ~Content() { release(); }
  Content(const Content& other) : page_(other.page_), length_(other.length_), rest_(other.rest_) { retain(); }
  Content(Content&& other) noexcept
      : page_(std::exchange(other.page_, nullptr)), length_(std::exchange(other.length_, 0)), rest_(other.rest_) {}
  Content& operator=(Content other) noexcept {
    std::swap(page_, other.page_);
    std::swap(length_, other.length_);
    std::swap(rest_, other.rest_);
    return *this;
  }
  static Content constant(std::uint8_t value) {
    Content content;
    content.rest_ = value;
    return content;
  }

  // offset + size must lie within the block.
  void read(std::uint32_t offset, MutableByteSpan into) const;
  void write(std::uint32_t offset, ByteSpan bytes);
  void fill(std::uint32_t offset, std::uint32_t size, std::uint8_t value);
  bool equal(const Content& other, std::uint32_t offset, std::uint32_t size) const;
  std::uint32_t crc() const;

  // Bytes of memory behind this content; contents that share them each say so.
  std::uint32_t memory_bytes() const { return page_ == nullptr ? 0 : page_->capacity; }

 private:
  struct Page {
    std::uint32_t owners;
    std::uint32_t capacity;
    std::uint8_t* bytes() { return reinterpret_cast<std::uint8_t*>(this + 1); }
  };

  void retain() const {
    if (page_ != nullptr) {
      ++page_->owners;
    }
  }
  void release();
  // Makes [0, end) writable, keeping what is there but for [skip, skip_end).
  std::uint8_t* writable(std::uint32_t end, std::uint32_t skip, std::uint32_t skip_end);
  std::uint8_t at(std::uint32_t offset) const { return offset < length_ ? page_->bytes()[offset] : rest_; }

  Page* page_ = nullptr;
  std::uint16_t length_ = 0;  // of the prefix that the page holds
  std::uint8_t rest_ = 0;     // every byte behind it
};

}  // namespace chronik::sim
