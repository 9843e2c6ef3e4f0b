#include "sim/finding.h"

#include <algorithm>
#include <iterator>
#include <set>

namespace chronik::sim {

namespace {

constexpr std::string_view kDeadlocked = "DEADLOCKED";
constexpr std::string_view kMark = "\n  ";  // before it where it marks a fiber
constexpr std::string_view kForScope = "waits for scope";
constexpr std::string_view kCheck = "CHECK(";
constexpr std::string_view kOurs = "chronik::";
constexpr int kFunctionsThatTellACrash = 3;
constexpr std::size_t kIdLength = 22;  // of a topic, as text

bool is_of_a_word(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

std::string_view line_at(std::string_view text, std::size_t at) { return text.substr(at, text.find('\n', at) - at); }

// Nor ids, which are long.
std::string without_numbers(std::string_view text) {
  std::string rest;
  while (!text.empty()) {
    const auto* const end = std::find_if_not(text.begin(), text.end(), is_of_a_word);
    const std::string_view word(text.begin(), static_cast<std::size_t>(end - text.begin()));
    if (word.size() < kIdLength) {
      std::copy_if(word.begin(), word.end(), std::back_inserter(rest), [](char c) { return c < '0' || c > '9'; });
    }
    text.remove_prefix(word.size());
    if (!text.empty()) {
      rest += text.front();
      text.remove_prefix(1);
    }
  }
  return rest;
}

std::string who_is_deadlocked(std::string_view message) {
  std::set<std::string> kinds;
  for (std::size_t at = 0; (at = message.find(kDeadlocked, at)) != std::string_view::npos; ++at) {
    if (!message.substr(0, at).ends_with(kMark)) {
      continue;  // the word, and no fiber
    }
    const std::string_view line = line_at(message, at);
    const std::string_view waits = line.substr(0, line.find(" (of "));
    // Who joins a scope is stuck or not by who else is in it.
    if (waits.find(kForScope) == std::string_view::npos) {
      kinds.insert(without_numbers(waits));
    }
  }
  std::string all;
  for (const std::string& kind : kinds) {
    all += kind;
  }
  return all;
}

std::string where_it_crashed(std::string_view message) {
  if (const std::size_t check = message.find(kCheck); check != std::string_view::npos) {
    const std::string_view line = line_at(message, check);
    return std::string(line.substr(0, line.find(" failed")));
  }
  std::string functions;
  std::size_t at = 0;
  for (int i = 0; i < kFunctionsThatTellACrash && (at = message.find(kOurs, at)) != std::string_view::npos; ++i) {
    functions += line_at(message, at);
    at += kOurs.size();
  }
  return functions;
}

}  // namespace

std::string signature_of(std::string_view checker, std::string_view message) {
  std::string what = checker == "CRASH" ? where_it_crashed(message) : who_is_deadlocked(message);
  if (what.empty()) {
    what = without_numbers(line_at(message, 0));
  }
  return std::string(checker) + " " + what;
}

}  // namespace chronik::sim
