// A doubly linked list whose links live in its members: no allocation, removal in constant time, order of insertion.
//
// A member leaves the list by unlink() or when it is destroyed. The list must be empty, or its members unlinked, when
// it is destroyed.
#pragma once

#include <cstddef>

#include "core/base/check.h"

namespace chronik {

template <typename Tag>
class ListHook {
 public:
  ListHook() = default;
  ~ListHook() { unlink(); }
  ListHook(const ListHook&) = delete;
  ListHook& operator=(const ListHook&) = delete;

  bool linked() const { return next_ != nullptr; }
  void unlink() {
    if (next_ != nullptr) {
      previous_->next_ = next_;
      next_->previous_ = previous_;
      next_ = previous_ = nullptr;
    }
  }

 private:
  template <typename T, typename U>
  friend class IntrusiveList;
  ListHook* previous_ = nullptr;
  ListHook* next_ = nullptr;
};

// A list of T, which derives from ListHook<Tag>.
template <typename T, typename Tag>
class IntrusiveList {
 public:
  IntrusiveList() { root_.previous_ = root_.next_ = &root_; }
  ~IntrusiveList() {
    CHECK(empty());
    root_.previous_ = root_.next_ = nullptr;
  }
  IntrusiveList(const IntrusiveList&) = delete;
  IntrusiveList& operator=(const IntrusiveList&) = delete;

  bool empty() const { return root_.next_ == &root_; }
  T& front() { return static_cast<T&>(*root_.next_); }
  T& back() { return static_cast<T&>(*root_.previous_); }
  void push_back(T& item) {
    Hook& hook = item;
    CHECK(!hook.linked());
    hook.previous_ = root_.previous_;
    hook.next_ = &root_;
    root_.previous_->next_ = &hook;
    root_.previous_ = &hook;
  }
  void push_front(T& item) {
    Hook& hook = item;
    CHECK(!hook.linked());
    hook.next_ = root_.next_;
    hook.previous_ = &root_;
    root_.next_->previous_ = &hook;
    root_.next_ = &hook;
  }
  // Puts `item` behind the last member that goes not after it: for members that mostly come in order.
  template <typename Less>
  void insert_sorted(T& item, Less&& less) {
    Hook& hook = item;
    CHECK(!hook.linked());
    Hook* behind = root_.previous_;
    while (behind != &root_ && less(item, static_cast<T&>(*behind))) {
      behind = behind->previous_;
    }
    hook.previous_ = behind;
    hook.next_ = behind->next_;
    behind->next_->previous_ = &hook;
    behind->next_ = &hook;
  }
  T& pop_front() {
    T& item = front();
    static_cast<Hook&>(item).unlink();
    return item;
  }
  // Calls visit(item) in order; visit may unlink the item it is given, and no other.
  template <typename Visit>
  void for_each(Visit&& visit) const {
    for (const Hook* hook = root_.next_; hook != &root_;) {
      const Hook* next = hook->next_;
      visit(static_cast<T&>(*const_cast<Hook*>(hook)));  // NOLINT: the list owns no constness of its members
      hook = next;
    }
  }
  std::size_t count() const {
    std::size_t n = 0;
    for_each([&n](T&) { ++n; });
    return n;
  }

 private:
  using Hook = ListHook<Tag>;
  Hook root_;
};

}  // namespace chronik
