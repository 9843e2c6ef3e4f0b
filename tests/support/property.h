// GoogleTest's assertions within a RapidCheck property.
//
// RC_ASSERT(!HasFailure()) will not do: once one case has failed it stays so, every smaller case seems to fail as well,
// and what is shrunk to means nothing.
#pragma once

#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <string>

namespace chronik::testing {

// What failed in `body`, as text; empty where nothing did. The test that runs does not hear of it:
//   const std::string failures = failures_of([&] { one_case(seed); });
//   if (!failures.empty()) RC_FAIL(failures);
template <typename Body>
std::string failures_of(Body&& body) {
  using Reporter = ::testing::ScopedFakeTestPartResultReporter;
  ::testing::TestPartResultArray results;
  {
    const Reporter reporter(Reporter::INTERCEPT_ONLY_CURRENT_THREAD, &results);
    body();
  }
  std::string text;
  for (int i = 0; i < results.size(); ++i) {
    const ::testing::TestPartResult& result = results.GetTestPartResult(i);
    if (result.failed()) {
      text += std::string(result.file_name() == nullptr ? "?" : result.file_name()) + ":" +
              std::to_string(result.line_number()) + ": " + result.message() + "\n";
    }
  }
  return text;
}

}  // namespace chronik::testing
