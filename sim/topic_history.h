// What several clients asked for and were told about names of topics, and whether that can have been: checker META-LIN.
//
// Creations and deletions of one name are linearizable: there is one order of them in which each takes effect at one
// moment between its asking and its answer, is refused only where the order has the topic so, and an answer that never
// came leaves its request to take effect at any later time, once, or never. Names are judged one by one (Herlihy and
// Wing 1990, locality). The search follows the answers in the order of their coming and keeps every state that the
// requests so far can have led to; requests without an answer count by kind, which keeps those states few.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace chronik::sim {

class TopicHistory {
 public:
  enum class Verb : std::uint8_t { kCreate, kDelete };
  enum class Outcome : std::uint8_t {
    kUnknown,  // no answer, or one that leaves it open
    kDone,
    kRefused,  // it is there already, or not there
  };
  static constexpr std::size_t kOpenMax = 32;  // requests of one name under way at a time that will be answered

  struct Request {
    std::string name;
    std::size_t index = 0;
  };
  // To be told at the moment of asking, and before the answer is acted on.
  Request ask(const std::string& name, Verb verb);
  void answer(const Request& request, Outcome outcome);

  // Of requests about this name that nothing is known of yet; those under way are among them.
  std::size_t unknown(const std::string& name) const;
  // Empty: all answers can be explained, and what is there in the end as well; else what cannot.
  std::string judge(const std::function<bool(const std::string& name)>& there_in_the_end) const;

 private:
  struct Asked {
    Verb verb;
    Outcome outcome = Outcome::kUnknown;
  };
  struct Event {
    std::size_t index;
    bool answered;
  };
  struct Name {
    std::vector<Asked> asked;
    std::vector<Event> events;
  };
  class Search;
  std::map<std::string, Name> names_;
};

}  // namespace chronik::sim
