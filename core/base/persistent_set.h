// An ordered set whose changes make a new set and leave the old one as it was. Both share all but a path of nodes.
//
// Why: an image of the cluster's metadata is immutable, and creating one topic must not copy ten thousand. An AVL tree
// with path copying: find, insert and erase cost O(log n), and so does a difference of a few elements between two sets
// of which one grew out of the other. Order is that of the keys, the same in every process.
//
// KeyOf takes a value's key out of it; keys have operator<. A value is never changed in place.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/base/counted.h"

namespace chronik {

template <typename Value, typename KeyOf>
class PersistentSet {
  struct Node;
  using NodeRef = Ref<const Node>;

 public:
  PersistentSet() = default;

  std::size_t size() const { return size_of(root_); }
  bool empty() const { return !root_; }

  // The element with this key, or null. Valid while any set with this element lives.
  template <typename Key>
  const Value* find(const Key& key) const {
    const Node* node = root_.get();
    while (node != nullptr) {
      const auto& here = KeyOf{}(node->value);
      if (key < here) {
        node = node->left.get();
      } else if (here < key) {
        node = node->right.get();
      } else {
        return &node->value;
      }
    }
    return nullptr;
  }

  // The first element, or null.
  const Value* first() const {
    const Node* node = root_.get();
    while (node != nullptr && node->left) {
      node = node->left.get();
    }
    return node == nullptr ? nullptr : &node->value;
  }

  // This set with `value` in it, replacing the element with the same key.
  [[nodiscard]] PersistentSet with(Value value) const { return PersistentSet(insert(root_, std::move(value))); }

  // This set without the element with this key, which must be there.
  template <typename Key>
  [[nodiscard]] PersistentSet without(const Key& key) const {
    return PersistentSet(erase(root_, key));
  }

  // Elements in strictly ascending order of their keys.
  static PersistentSet from_sorted(std::vector<Value> values) { return PersistentSet(build(values, 0, values.size())); }

  // Calls visit(value) for each element in order.
  template <typename Visit>
  void for_each(Visit&& visit) const {
    walk(root_.get(), visit);
  }

  // Calls visit(value) for each element with a key at or after `from`, in order, until visit returns false.
  template <typename Key, typename Visit>
  void for_each_from(const Key& from, Visit&& visit) const {
    walk_from(root_.get(), from, visit);
  }

  // This set with each element replaced by change(value), a std::optional that is empty where it stays. Keys must not
  // change. What nothing changes in is shared.
  template <typename Change>
  [[nodiscard]] PersistentSet with_each(Change&& change) const {
    return PersistentSet(replace(root_, change));
  }

  // Calls visit(before, after) in order for each element that differs: before is null where it is new, after is null
  // where it is gone. Parts that both sets share are skipped without a look.
  template <typename Visit>
  static void differences(const PersistentSet& before, const PersistentSet& after, Visit&& visit) {
    Cursor a(before.root_.get());
    Cursor b(after.root_.get());
    while (a.align_with(b)) {
      const Value* left = a.value();
      const Value* right = b.value();
      if (right == nullptr || (left != nullptr && KeyOf{}(*left) < KeyOf{}(*right))) {
        visit(left, static_cast<const Value*>(nullptr));
        a.pop();
      } else if (left == nullptr || KeyOf{}(*right) < KeyOf{}(*left)) {
        visit(static_cast<const Value*>(nullptr), right);
        b.pop();
      } else {
        if (!(*left == *right)) {
          visit(left, right);
        }
        a.pop();
        b.pop();
      }
    }
  }

  friend bool operator==(const PersistentSet& a, const PersistentSet& b) {
    bool equal = a.size() == b.size();
    if (equal) {
      differences(a, b, [&equal](const Value*, const Value*) { equal = false; });
    }
    return equal;
  }

  // Whether heights, sizes and order are what they must be. For tests.
  bool well_formed() const {
    const Value* previous = nullptr;
    bool ascending = true;
    for_each([&](const Value& value) {
      ascending = ascending && (previous == nullptr || KeyOf{}(*previous) < KeyOf{}(value));
      previous = &value;
    });
    return ascending && balanced(root_.get());
  }

 private:
  struct Node : Counted {
    Node(Value v, NodeRef l, NodeRef r)
        : value(std::move(v)),
          left(std::move(l)),
          right(std::move(r)),
          height(1 + std::max(height_of(left), height_of(right))),
          size(1 + size_of(left) + size_of(right)) {}
    Value value;
    NodeRef left;
    NodeRef right;
    std::int32_t height;
    std::size_t size;
  };

  // A walk in order that may step over whole subtrees: a stack of subtrees not entered yet and of nodes whose left side
  // is done.
  class Cursor {
   public:
    explicit Cursor(const Node* root) { push(root, false); }
    // Drops what both have in common at their heads and opens the rest until both heads are single values. False at the
    // end of both.
    bool align_with(Cursor& other) {
      while (true) {
        if (is_tree() && other.is_tree()) {
          if (items_.back().node == other.items_.back().node) {
            pop();
            other.pop();
          } else if (items_.back().node->height >= other.items_.back().node->height) {
            open();
          } else {
            other.open();
          }
        } else if (is_tree()) {
          open();
        } else if (other.is_tree()) {
          other.open();
        } else {
          return !items_.empty() || !other.items_.empty();
        }
      }
    }
    const Value* value() const { return items_.empty() ? nullptr : &items_.back().node->value; }
    void pop() { items_.pop_back(); }

   private:
    struct Item {
      const Node* node;
      bool single;
    };
    bool is_tree() const { return !items_.empty() && !items_.back().single; }
    void push(const Node* node, bool single) {
      if (node != nullptr) {
        items_.push_back({node, single});
      }
    }
    void open() {
      const Node* node = items_.back().node;
      items_.pop_back();
      push(node->right.get(), false);
      push(node, true);
      push(node->left.get(), false);
    }
    std::vector<Item> items_;
  };

  explicit PersistentSet(NodeRef root) : root_(std::move(root)) {}

  static std::int32_t height_of(const NodeRef& node) { return node ? node->height : 0; }
  static std::size_t size_of(const NodeRef& node) { return node ? node->size : 0; }
  static NodeRef make(Value value, NodeRef left, NodeRef right) {
    return NodeRef::make(std::move(value), std::move(left), std::move(right));
  }

  // A node over two subtrees whose heights differ by at most two.
  static NodeRef join(Value value, NodeRef left, NodeRef right) {
    const std::int32_t lean = height_of(left) - height_of(right);
    if (lean > 1) {
      if (height_of(left->left) >= height_of(left->right)) {
        return make(left->value, left->left, make(std::move(value), left->right, std::move(right)));
      }
      const NodeRef& pivot = left->right;
      return make(pivot->value, make(left->value, left->left, pivot->left),
                  make(std::move(value), pivot->right, std::move(right)));
    }
    if (lean < -1) {
      if (height_of(right->right) >= height_of(right->left)) {
        return make(right->value, make(std::move(value), std::move(left), right->left), right->right);
      }
      const NodeRef& pivot = right->left;
      return make(pivot->value, make(std::move(value), std::move(left), pivot->left),
                  make(right->value, pivot->right, right->right));
    }
    return make(std::move(value), std::move(left), std::move(right));
  }

  static NodeRef insert(const NodeRef& node, Value value) {
    if (!node) {
      return make(std::move(value), nullptr, nullptr);
    }
    const auto& key = KeyOf{}(value);
    const auto& here = KeyOf{}(node->value);
    if (key < here) {
      return join(node->value, insert(node->left, std::move(value)), node->right);
    }
    if (here < key) {
      return join(node->value, node->left, insert(node->right, std::move(value)));
    }
    return make(std::move(value), node->left, node->right);
  }

  template <typename Key>
  static NodeRef erase(const NodeRef& node, const Key& key) {
    CHECK(node.get() != nullptr);
    const auto& here = KeyOf{}(node->value);
    if (key < here) {
      return join(node->value, erase(node->left, key), node->right);
    }
    if (here < key) {
      return join(node->value, node->left, erase(node->right, key));
    }
    if (!node->left) {
      return node->right;
    }
    if (!node->right) {
      return node->left;
    }
    const Node* next = node->right.get();
    while (next->left) {
      next = next->left.get();
    }
    return join(next->value, node->left, erase_first(node->right));
  }

  static NodeRef erase_first(const NodeRef& node) {
    return node->left ? join(node->value, erase_first(node->left), node->right) : node->right;
  }

  static NodeRef build(std::vector<Value>& values, std::size_t from, std::size_t to) {
    if (from == to) {
      return nullptr;
    }
    const std::size_t middle = from + (to - from) / 2;
    NodeRef left = build(values, from, middle);
    NodeRef right = build(values, middle + 1, to);
    return make(std::move(values[middle]), std::move(left), std::move(right));
  }

  template <typename Visit>
  static void walk(const Node* node, Visit& visit) {
    if (node != nullptr) {
      walk(node->left.get(), visit);
      visit(node->value);
      walk(node->right.get(), visit);
    }
  }

  template <typename Key, typename Visit>
  static bool walk_from(const Node* node, const Key& from, Visit& visit) {
    if (node == nullptr) {
      return true;
    }
    if (KeyOf{}(node->value) < from) {
      return walk_from(node->right.get(), from, visit);
    }
    return walk_from(node->left.get(), from, visit) && visit(node->value) && walk_from(node->right.get(), from, visit);
  }

  template <typename Change>
  static NodeRef replace(const NodeRef& node, Change& change) {
    if (!node) {
      return node;
    }
    NodeRef left = replace(node->left, change);
    auto value = change(node->value);
    NodeRef right = replace(node->right, change);
    if (!value.has_value() && left == node->left && right == node->right) {
      return node;
    }
    return make(value.has_value() ? std::move(*value) : node->value, std::move(left), std::move(right));
  }

  static bool balanced(const Node* node) {
    if (node == nullptr) {
      return true;
    }
    const std::int32_t lean = height_of(node->left) - height_of(node->right);
    return lean >= -1 && lean <= 1 && node->height == 1 + std::max(height_of(node->left), height_of(node->right)) &&
           node->size == 1 + size_of(node->left) + size_of(node->right) && balanced(node->left.get()) &&
           balanced(node->right.get());
  }

  NodeRef root_;
};

}  // namespace chronik
