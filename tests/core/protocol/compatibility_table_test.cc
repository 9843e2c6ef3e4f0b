// The table in docs/COMPATIBILITY.md is what users read: it must be what the code does.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "core/protocol/api_versions.h"

namespace chronik::protocol {
namespace {

namespace fs = std::filesystem;

// The page, in the tree that the build directory belongs to.
fs::path page() {
  const fs::path relative = fs::path("docs") / "COMPATIBILITY.md";
  for (fs::path at = fs::current_path(); at != at.root_path(); at = at.parent_path()) {
    if (fs::exists(at / relative)) {
      return at / relative;
    }
  }
  return {};
}

TEST(CompatibilityPage, TableOfApisIsWhatTheBrokerAdvertises) {
  const fs::path path = page();
  if (path.empty()) {
    GTEST_SKIP() << "docs/COMPATIBILITY.md is not above the working directory: run from a build directory in the tree";
  }
  std::vector<std::string> rows;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("| ") && line.size() > 2 && line[2] >= '0' && line[2] <= '9') {
      rows.push_back(line);
    }
  }
  std::vector<std::string> expected;
  for (const Api& api : all_apis()) {
    const std::string flexible = api.flexible_since == kNeverFlexible ? "none" : std::to_string(api.flexible_since);
    expected.push_back(fmt::format("| {} | {} | {}-{} | {} |", static_cast<int>(api.key), api.name, api.advertised.min,
                                   api.advertised.max, flexible));
  }
  EXPECT_EQ(rows, expected);
}

}  // namespace
}  // namespace chronik::protocol
