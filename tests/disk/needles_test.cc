#include "tests/disk/needles.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace keyferry::testing {
namespace {

using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kText[] = "a-value\xfb\xff\xfe-that-is-looked-for";

TEST(Needles, FindsEveryEncodingAnywhere) {
  Needles needles;
  needles.Add(kText);
  needles.Add("another-text-that-is-absent");
  for (size_t before = 0; before < 7; ++before) {
    for (size_t after = 0; after < 4; ++after) {
      const std::string embedded = absl::StrCat(std::string(before, 'x'), kText, std::string(after, 'y'));
      EXPECT_THAT(needles.FindIn(embedded), Not(IsEmpty()));
      EXPECT_THAT(needles.FindIn(absl::BytesToHexString(embedded)), Not(IsEmpty()));
      EXPECT_THAT(needles.FindIn(absl::AsciiStrToUpper(absl::BytesToHexString(embedded))), Not(IsEmpty()));
      EXPECT_THAT(needles.FindIn(absl::StrCat("{", absl::Base64Escape(embedded), "}")), Not(IsEmpty())) << before;
      EXPECT_THAT(needles.FindIn(absl::WebSafeBase64Escape(embedded)), Not(IsEmpty())) << before;
    }
  }
}

TEST(Needles, FindsNothingElse) {
  Needles needles;
  needles.Add(kText);
  EXPECT_THAT(needles.FindIn(""), IsEmpty());
  EXPECT_THAT(needles.FindIn("a-value\xfb\xff\xfe-that-is-looked-fo"), IsEmpty());
  EXPECT_THAT(needles.FindIn(absl::BytesToHexString("a-value but another one than that")), IsEmpty());
}

TEST(Needles, ShowsNoWholeText) {
  Needles needles;
  needles.Add(kText);
  for (const std::string& line : needles.FindIn(kText)) EXPECT_EQ(line.find("looked-for"), std::string::npos);
}

}  // namespace
}  // namespace keyferry::testing
