// Objects that are shared on one shard: a count inside the object and a Ref that holds it.
//
// The count is not atomic. An object's home is the shard that made it; only that shard takes or drops references (rule
// S5; asserted). The object dies with its last Ref. Objects must not form cycles of Refs.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "core/base/ambient.h"
#include "core/base/check.h"

namespace chronik {

// Base of what Refs hold. A copy is a new object that nobody holds yet.
class Counted {
 public:
  Counted() : home_(current_shard()) {}
  Counted(const Counted&) : Counted() {}
  Counted& operator=(const Counted&) = delete;

 protected:
  ~Counted() { CHECK_EQ(references_, 0u); }

 private:
  template <typename T>
  friend class Ref;

  mutable std::uint32_t references_ = 0;
  ShardId home_;
};

template <typename T>
class Ref {
 public:
  Ref() = default;
  Ref(std::nullptr_t) {}  // NOLINT: null is a Ref like any other
  ~Ref() { release(); }
  Ref(const Ref& other) : object_(other.object_) { retain(); }
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  // Of a base.
  template <typename U>
  requires std::convertible_to<U*, T*> Ref(const Ref<U>& other) : object_(other.get()) {  // NOLINT: as pointers convert
    retain();
  }
  Ref& operator=(Ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }

  // Takes over a fresh object, made with new.
  template <typename... Arguments>
  static Ref make(Arguments&&... arguments) {
    Ref ref;
    ref.object_ = new T(std::forward<Arguments>(arguments)...);
    ref.retain();
    return ref;
  }

  // A further one to what somebody holds already.
  static Ref another(T& held) {
    CHECK_GT(held.Counted::references_, 0u);
    Ref ref;
    ref.object_ = &held;
    ref.retain();
    return ref;
  }

  explicit operator bool() const { return object_ != nullptr; }
  T* get() const { return object_; }
  T& operator*() const {
    CHECK(object_ != nullptr);
    return *object_;
  }
  T* operator->() const { return &**this; }
  // The same object, not merely an equal one.
  friend bool operator==(const Ref& a, const Ref& b) { return a.object_ == b.object_; }

 private:
  void retain() const {
    if (object_ != nullptr) {
      CHECK_EQ(object_->Counted::home_, current_shard());
      ++object_->Counted::references_;
    }
  }
  void release() {
    if (object_ != nullptr) {
      CHECK_EQ(object_->Counted::home_, current_shard());
      if (--object_->Counted::references_ == 0) {
        delete object_;
      }
      object_ = nullptr;
    }
  }

  T* object_ = nullptr;
};

}  // namespace chronik
