// Which names a topic may have, and which two names are too alike.
//
// Kafka's rules: 1 to 249 of letters, digits, '.', '_' and '-'; not "." or "..". Since metric names turn '.' into '_',
// two topics whose names differ only in that are not allowed side by side.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

#include <fmt/core.h>

namespace chronik::cluster {

inline constexpr std::size_t kTopicNameBytesMax = 249;

// Empty if the name is legal; else why it is not.
inline std::string topic_name_problem(std::string_view name) {
  if (name.empty()) {
    return "a topic name must not be empty";
  }
  if (name == "." || name == "..") {
    return "a topic name must not be '.' or '..'";
  }
  if (name.size() > kTopicNameBytesMax) {
    return fmt::format("a topic name has at most {} characters; this one has {}", kTopicNameBytesMax, name.size());
  }
  const auto legal = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  };
  if (!std::all_of(name.begin(), name.end(), legal)) {
    return "a topic name consists of letters, digits, '.', '_' and '-'";
  }
  return "";
}

// A name in an order that does not tell '.' from '_': two names are equal here when they collide.
struct TopicNameKey {
  std::string_view name;

  friend bool operator<(TopicNameKey a, TopicNameKey b) {
    return std::lexicographical_compare(a.name.begin(), a.name.end(), b.name.begin(), b.name.end(),
                                        [](char x, char y) { return folded(x) < folded(y); });
  }

 private:
  static unsigned char folded(char c) { return static_cast<unsigned char>(c == '.' ? '_' : c); }
};

}  // namespace chronik::cluster
