// Scripts that show what members say to each other: testdata/*.txt. A line that begins with '>' is done, the lines
// behind it are what must come of it. CHRONIK_REWRITE=1 writes what came into the files instead, to be read as a
// change.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/core/raft/raft_group.h"

namespace chronik::raft {
namespace {

using testing::Group;
namespace fs = std::filesystem;

class Script {
 public:
  // The script with what came of each line.
  std::string play(const std::string& script) {
    std::string played;
    std::istringstream lines(script);
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("> ")) {
        played += line + "\n";
        came_.clear();
        perform(line.substr(2));
        played += came_;
      } else if (line.empty() || line.starts_with("#")) {
        played += line + "\n";
      }
    }
    return played;
  }

 private:
  void perform(const std::string& line) {
    std::istringstream words(line);
    std::string verb;
    words >> verb;
    std::vector<std::string> rest;
    for (std::string word; words >> word;) {
      rest.push_back(word);
    }
    const auto node = [&rest](std::size_t i) { return std::stoi(rest.at(i)); };
    if (verb == "group") {
      begin(node(0), rest);
    } else if (verb == "wait") {
      wait(rest);
    } else if (verb == "deliver" || verb == "drop") {
      move(rest, verb == "deliver");
    } else if (verb == "persist") {
      group_->persist_all(node(0));
    } else if (verb == "settle") {
      settle();
    } else if (verb == "propose") {
      group_->propose(node(0), rest.at(1));
    } else if (verb == "read") {
      group_->read(node(0));
    } else if (verb == "transfer") {
      group_->act(node(0), [&](Raft& raft) { note(raft.transfer_to(group_->seat(node(1)).self)); });
    } else if (verb == "voters" || verb == "learners") {
      change_members(verb == "voters", rest);
    } else if (verb == "compact") {
      group_->compact(node(0), std::stoull(rest.at(1)));
    } else if (verb == "crash") {
      group_->crash(node(0));
    } else if (verb == "restart") {
      group_->restart(node(0));
    } else if (verb == "replace") {
      group_->replace_disk(node(0));
    } else if (verb == "members") {
      for (const auto& [number, seat] : group_->seats()) {
        say(group_->describe_members(number));
      }
    } else if (verb == "show") {
      for (const auto& [number, seat] : group_->seats()) {
        say(group_->describe(number));
      }
    } else {
      ADD_FAILURE() << "no such verb: " << line;
    }
  }

  // group VOTERS [seats OTHERS]
  void begin(std::int32_t voters, const std::vector<std::string>& rest) {
    RaftOptions options;
    options.election_max = options.election_min * 2;
    options.append_bytes_max = 10;
    options.snapshot_part_bytes = 4;
    group_.emplace(voters, options, 1, [this](const std::string& what) { say(what); });
    if (rest.size() == 3 && rest[1] == "seats") {
      for (std::int32_t other = 1; other <= std::stoi(rest[2]); ++other) {
        group_->add_seat(voters + other, Membership{});
      }
    }
  }
  // wait MILLISECONDS NODE…: only these look at the clock.
  void wait(const std::vector<std::string>& rest) {
    group_->wait(Duration::milliseconds(std::stoi(rest.at(0))));
    for (std::size_t i = 1; i < rest.size(); ++i) {
      group_->tick(std::stoi(rest[i]));
    }
  }
  // deliver|drop [FROM TO]: what is under way now.
  void move(const std::vector<std::string>& rest, bool deliver) {
    std::deque<Message> messages;
    std::swap(messages, group_->in_flight());
    for (const Message& message : messages) {
      const bool meant = rest.empty() || (message.from.node.value() == std::stoi(rest.at(0)) &&
                                          message.to.node.value() == std::stoi(rest.at(1)));
      if (!meant) {
        group_->in_flight().push_back(message);
      } else if (deliver) {
        group_->deliver(message);
      }
    }
  }
  // Writes and messages, until there is nothing more to do.
  void settle() {
    for (int rounds = 0; rounds < 1000; ++rounds) {
      for (const auto& [number, seat] : group_->seats()) {
        group_->persist_all(number);
      }
      if (group_->in_flight().empty()) {
        return;
      }
      move({}, true);
    }
    ADD_FAILURE() << "it does not settle";
  }
  // voters|learners AT NODE…: these and no others.
  void change_members(bool voters, const std::vector<std::string>& rest) {
    group_->act(std::stoi(rest.at(0)), [&](Raft& raft) {
      Membership wanted = raft.membership();
      std::vector<Member>& part = voters ? wanted.voters : wanted.learners;
      part.clear();
      for (std::size_t i = 1; i < rest.size(); ++i) {
        part.push_back(group_->seat(std::stoi(rest[i])).self);
        std::erase(voters ? wanted.learners : wanted.voters, part.back());
      }
      note(raft.propose_membership(wanted).status());
    });
  }

  void note(const Status& status) {
    if (!status.ok()) {
      say(std::string(status.message()));
    }
  }
  void say(const std::string& what) { came_ += "  " + what + "\n"; }

  std::optional<Group> group_;
  std::string came_;
};

fs::path testdata() {
  const char* source = std::getenv("CHRONIK_SOURCE");
  return fs::path(source == nullptr ? "." : source) / "tests/core/raft/testdata";
}

TEST(RaftScripts, PlayAsTheyAreWritten) {
  std::size_t played = 0;
  for (const auto& file : fs::directory_iterator(testdata())) {
    std::ifstream in(file.path());
    const std::string script((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    const std::string came = Script().play(script);
    if (std::getenv("CHRONIK_REWRITE") != nullptr) {
      std::ofstream(file.path()) << came;
    } else {
      EXPECT_EQ(came, script) << file.path();
    }
    ++played;
  }
  EXPECT_GE(played, 8u);
}

}  // namespace
}  // namespace chronik::raft
