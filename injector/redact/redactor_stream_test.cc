// A stream over time: what is held, idle streams, other patterns, and texts made to cost much.
#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "injector/redact/redactor.h"

namespace keyferry::injector {
namespace {

std::shared_ptr<const PatternSet> Patterns(const std::vector<NamedValue>& values) {
  return PatternSet::Compile(values);
}

// A stream and what of it was passed on since the last look.
class Stream {
 public:
  explicit Stream(const std::vector<NamedValue>& values) : redactor(Patterns(values)) {}
  Stream(std::initializer_list<NamedValue> values) : redactor(Patterns(values)) {}

  std::string Write(absl::string_view text) {
    std::string output;
    redactor.Write(text, output);
    return output;
  }
  std::string Idle() {
    std::string output;
    redactor.FlushIdle(output);
    return output;
  }
  std::string Finish() {
    std::string output;
    redactor.Finish(output);
    EXPECT_EQ(redactor.held(), 0u);
    return output;
  }

  Redactor redactor;
};

TEST(RedactorStream, HoldsOnlyWhatMayBecomeAValue) {
  Stream stream{{"K", "s3cret-value"}};
  EXPECT_EQ(stream.Write("a line\n"), "a line\n");
  EXPECT_EQ(stream.redactor.held(), 0u);
  EXPECT_EQ(stream.Write("it is s3cr"), "it is ");
  EXPECT_EQ(stream.redactor.held(), 4u);
  EXPECT_EQ(stream.Write("ew\n"), "s3crew\n");
  EXPECT_EQ(stream.redactor.held(), 0u);
  EXPECT_EQ(stream.Write("s3cret-valu"), "");
  EXPECT_EQ(stream.Finish(), "s3cret-valu");
}

TEST(RedactorStream, ShowsAnIdlePrompt) {
  Stream stream{{"K", "s3cret-value"}};
  EXPECT_EQ(stream.Write("Continue? s3"), "Continue? ");
  EXPECT_EQ(stream.Idle(), "s3");
  EXPECT_EQ(stream.redactor.held(), 0u);
  EXPECT_EQ(stream.Write(" or not?\n"), " or not?\n");
}

TEST(RedactorStream, ReplacesTheRestOfAValueThatWasBegunBeforeAPause) {
  Stream stream{{"K", "s3cret-value"}};
  EXPECT_EQ(stream.Write("<s3c"), "<");
  EXPECT_EQ(stream.Idle(), "s3c");
  EXPECT_EQ(stream.Idle(), "");
  EXPECT_EQ(stream.Write("ret-val"), "");
  EXPECT_EQ(stream.redactor.held(), 7u);
  EXPECT_EQ(stream.Write("ue>"), "[keyferry:K]>");
}

TEST(RedactorStream, KeepsMoreThanAQuarterOfAValueWhileIdle) {
  Stream stream{{"K", "s3cret-value"}, {"LONG", absl::StrCat("xx", std::string(98, 'y'), "12345678")}};
  EXPECT_EQ(stream.Write("s3cr"), "");
  EXPECT_EQ(stream.Idle(), "");
  EXPECT_EQ(stream.redactor.held(), 4u);
  EXPECT_EQ(stream.Write("\n"), "s3cr\n");
  EXPECT_EQ(stream.Write("xxyyyy"), "");
  EXPECT_EQ(stream.Idle(), "xxyyyy");
}

TEST(RedactorStream, JudgesEveryBeginningInAnIdleText) {
  // A twentieth of the long value, but most of the short one.
  Stream stream{{"LONG", absl::StrCat("..12345678", std::string(190, 'y'))}, {"SHORT", "12345678z"}};
  EXPECT_EQ(stream.Write("..12345678"), "");
  EXPECT_EQ(stream.Idle(), "");
}

TEST(RedactorStream, ReplacesAWholeValueWhileIdle) {
  // The value's end is the beginning of another, or of itself.
  Stream stream{{"K", "abcdefgha"}, {"LONGER", "abcdefghabcd"}};
  EXPECT_EQ(stream.Write("abcdefgha"), "");
  EXPECT_GT(stream.redactor.held(), 0u);
  EXPECT_EQ(stream.Idle(), "[keyferry:K]");
  EXPECT_EQ(stream.redactor.held(), 0u);
  EXPECT_EQ(stream.Write("bcd>"), "[keyferry:LONGER]>");
}

TEST(RedactorStream, OtherPatternsCountFromTheNextByte) {
  Stream stream{{"OLD", "old-secret"}};
  EXPECT_EQ(stream.Write("old-secret new-secret\n"), "[keyferry:OLD] new-secret\n");
  stream.redactor.SetPatterns(Patterns({{"NEW", "new-secret"}}));
  EXPECT_EQ(stream.Write("old-secret new-secret\n"), "old-secret [keyferry:NEW]\n");
  stream.redactor.SetPatterns(Patterns({}));
  EXPECT_EQ(stream.Write("old-secret new-secret\n"), "old-secret new-secret\n");
}

TEST(RedactorStream, BothPatternsJudgeWhatIsHeld) {
  const std::string text = "<old-secret>";
  for (size_t cut = 2; cut < text.size() - 1; ++cut) {
    Stream stream{{"OLD", "old-secret"}};
    std::string output = stream.Write(text.substr(0, cut));
    stream.redactor.SetPatterns(Patterns({{"NEW", "new-secret"}}));
    stream.redactor.SetPatterns(Patterns({{"NEWER", "newer-secret"}}));
    output += stream.Write(text.substr(cut));
    EXPECT_EQ(output, "<[keyferry:OLD]>") << "changed at " << cut;
    EXPECT_EQ(stream.Write("old-secret\n"), "old-secret\n");
    EXPECT_EQ(stream.Write("newer-secret\n"), "[keyferry:NEWER]\n");
  }
}

TEST(RedactorStream, NewPatternsFindWhatBeginsInHeldBytes) {
  Stream stream{{"OLD", "shared-prefix-old"}};
  EXPECT_EQ(stream.Write("<shared-prefix-"), "<");
  stream.redactor.SetPatterns(Patterns({{"NEW", "shared-prefix-new"}}));
  EXPECT_EQ(stream.Write("new>"), "[keyferry:NEW]>");
  stream.redactor.SetPatterns(Patterns({{"INNER", "prefix-and-more"}, {"A", "shared-prefix-old"}}));
  EXPECT_EQ(stream.Write("<shared-prefix-"), "<");
  stream.redactor.SetPatterns(Patterns({{"INNER", "prefix-and-more"}}));
  EXPECT_EQ(stream.Write("and-more>"), "shared-[keyferry:INNER]>");
}

TEST(RedactorStream, HoldsAtMostTheLongestForm) {
  const std::string value = absl::StrCat(std::string(65535, 'a'), "b");
  Stream stream{{"K", value}};
  size_t passed = 0;
  size_t most = 0;
  for (int i = 0; i < 60; ++i) {
    passed += stream.Write(std::string(4000, 'a')).size();
    most = std::max(most, stream.redactor.held());
  }
  EXPECT_LE(most, value.size());
  EXPECT_GE(passed, 240000 - value.size());
}

// These end within seconds only if no text costs time quadratic in the value's size.
struct Flood {
  const char* what;
  std::string value;
  std::string unit;
};

class FloodTest : public testing::TestWithParam<Flood> {};

TEST_P(FloodTest, CostsLinearTime) {
  const Flood& flood = GetParam();
  Stream stream{{"K", flood.value}, {"ALMOST", flood.value.substr(1)}};
  std::string text;
  while (text.size() < (size_t{3} << 17)) text += flood.unit;
  std::string output;
  for (size_t at = 0; at < text.size(); at += 10007) stream.redactor.Write(text.substr(at, 10007), output);
  stream.redactor.Finish(output);
  EXPECT_EQ(output == text, flood.value.back() == '!');
}

std::string Repeat(absl::string_view unit) {
  std::string text;
  while (text.size() + unit.size() < (size_t{64} << 10)) absl::StrAppend(&text, unit);
  return text;
}

INSTANTIATE_TEST_SUITE_P(Floods, FloodTest,
                         testing::ValuesIn(std::vector<Flood>{
                             {"OneByte", Repeat("a") + "!", "a"},
                             {"WholeOneByte", Repeat("a"), "a"},
                             {"Three", Repeat("abc") + "!", "abc"},
                             {"Newlines", Repeat("\n") + "!", "\\n"},
                             {"Quotes", Repeat("\"") + "!", "\\\""},
                             {"Backslashes", Repeat("\\") + "!", "\\"},
                             {"Hex", Repeat("a") + "!", "61"},
                             {"Base64", Repeat("abc") + "!", "YWJj"},
                             {"Long", Repeat(std::string(5000, 'q') + "p") + "!", std::string(5000, 'q') + "p"},
                             {"AlmostRepeating",
                              Repeat("ababababababababababababababababababababababababababababababababababc") + "!",
                              "ababababababababababababababababababababababababababababababababababc"},
                         }),
                         [](const auto& info) { return info.param.what; });

TEST(RedactorStream, ManyLongValuesThatBeginAlike) {
  std::vector<std::string> owned;
  std::vector<NamedValue> values;
  for (int i = 0; i < 200; ++i) owned.push_back(absl::StrCat(Repeat("begin-of-all.").substr(0, 60000), i, "!"));
  for (const std::string& value : owned) values.push_back({absl::StrCat("V", values.size()), value});
  Stream stream(values);
  const std::string text = absl::StrCat(owned[0].substr(0, 60000), ".", owned[7], ".", owned[199], "\n");
  std::string output;
  for (size_t at = 0; at < text.size(); at += 4096) stream.redactor.Write(text.substr(at, 4096), output);
  EXPECT_EQ(output, absl::StrCat(owned[0].substr(0, 60000), ".[keyferry:V7].[keyferry:V199]\n"));
}

}  // namespace
}  // namespace keyferry::injector
