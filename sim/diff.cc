#include "sim/diff.h"

#include <fmt/core.h>

#include <cstdint>
#include <deque>
#include <fstream>
#include <optional>
#include <string>

namespace chronik::sim {

namespace {

constexpr std::size_t kLinesBefore = 8;
constexpr std::string_view kRecordsBegin = "chronik-plan ";

StatusOr<std::ifstream> open_records(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file.is_open()) {
    return absl::NotFoundError(fmt::format("{}: cannot be read", path));
  }
  std::string line;
  std::getline(file, line);
  if (line.rfind(kRecordsBegin, 0) != 0) {
    return absl::InvalidArgumentError(fmt::format("{}: not what chronik-sim replay --records has written", path));
  }
  file.seekg(0);
  return file;
}

std::optional<std::string> next_line(std::ifstream& file) {
  std::string line;
  return std::getline(file, line) ? std::optional<std::string>(std::move(line)) : std::nullopt;
}

}  // namespace

StatusOr<RecordsDiff> diff_records(const std::string& one, const std::string& other) {
  ASSIGN_OR_RETURN(std::ifstream left, open_records(one));
  ASSIGN_OR_RETURN(std::ifstream right, open_records(other));
  std::deque<std::string> before;
  bool in_plan = true;
  std::uint64_t lines = 0;
  while (true) {
    const std::optional<std::string> a = next_line(left);
    const std::optional<std::string> b = next_line(right);
    if (!a.has_value() && !b.has_value()) {
      return RecordsDiff{.equal = true, .text = fmt::format("equal: {} lines", lines)};
    }
    if (a != b) {
      std::string text = in_plan ? "the plans differ, so these are not two runs of one\n" : "the runs part after\n";
      for (const std::string& line : before) {
        text += "  " + line + "\n";
      }
      return RecordsDiff{.text = text + fmt::format("< {}\n> {}", a.value_or("(the end)"), b.value_or("(the end)"))};
    }
    in_plan = in_plan && *a != "end";
    before.push_back(*a);
    if (before.size() > kLinesBefore) {
      before.pop_front();
    }
    ++lines;
  }
}

}  // namespace chronik::sim
