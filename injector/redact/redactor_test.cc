// What is replaced: every form of a value, and values that overlap.
#include "injector/redact/redactor.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace keyferry::injector {
namespace {

std::string Redact(const std::vector<NamedValue>& values, absl::string_view text) {
  Redactor redactor(PatternSet::Compile(values));
  std::string output;
  redactor.Write(text, output);
  redactor.Finish(output);
  EXPECT_EQ(redactor.held(), 0u);
  return output;
}

// The same, one byte at a time and cut at every place.
std::string RedactInPieces(const std::vector<NamedValue>& values, absl::string_view text) {
  const std::string whole = Redact(values, text);
  const auto patterns = PatternSet::Compile(values);
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    Redactor redactor(patterns);
    std::string output;
    redactor.Write(text.substr(0, cut), output);
    redactor.Write(text.substr(cut), output);
    redactor.Finish(output);
    EXPECT_EQ(output, whole) << "cut at " << cut;
  }
  Redactor redactor(patterns);
  std::string output;
  for (size_t i = 0; i < text.size(); ++i) redactor.Write(text.substr(i, 1), output);
  redactor.Finish(output);
  EXPECT_EQ(output, whole) << "byte by byte";
  return whole;
}

struct Spelled {
  const char* what;
  std::string value;
  std::string text;
};

class SpelledTest : public testing::TestWithParam<Spelled> {};

TEST_P(SpelledTest, IsReplacedWhereverItIsCut) {
  const Spelled& spelled = GetParam();
  EXPECT_EQ(RedactInPieces({{"TOKEN", spelled.value}}, absl::StrCat("<", spelled.text, ">")), "<[keyferry:TOKEN]>");
}

const std::string kBinary("\x00\x01\xfe\xff\x80\x7f\x10\x1f\xc3", 9);

INSTANTIATE_TEST_SUITE_P(Forms, SpelledTest,
                         testing::ValuesIn(std::vector<Spelled>{
                             {"Raw", "s3cret-value", "s3cret-value"},
                             {"EightBytes", "12345678", "12345678"},
                             {"RawNewlines", "-----BEGIN\nabc\n", "-----BEGIN\nabc\n"},
                             {"RawBinary", kBinary, kBinary},
                             {"RawBackslashes", "a\\b\\\\c\\d", "a\\b\\\\c\\d"},
                             {"JsonStringify", "a\"b\\c\nd\te/f\x01", "a\\\"b\\\\c\\nd\\te/f\\u0001"},
                             {"JsonControls", "\b\f\n\r\t\x1f\x7f!", "\\b\\f\\n\\r\\t\\u001F\\u007f!"},
                             {"JsonSlashes", "https://user/", "https:\\/\\/user\\/"},
                             {"JsonOfGo", "a<b>c&d'e", "a\\u003cb\\u003Ec\\u0026d\\u0027e"},
                             {"PythonAscii", "pass\xc3\xa9w\xe2\x82\xacrd", "pass\\u00e9w\\u20acrd"},
                             {"PythonAsciiUpper", "pass\xc3\xa9w\xe2\x82\xacrd", "pass\\u00E9w\\u20ACrd"},
                             {"PythonUtf8", "pass\xc3\xa9w\xe2\x82\xacrd", "pass\xc3\xa9w\xe2\x82\xacrd"},
                             {"Surrogates", "key\xf0\x9f\x98\x80word", "key\\ud83d\\ude00word"},
                             {"SurrogatesUpper", "key\xf0\x9f\x98\x80word", "key\\uD83D\\uDE00word"},
                             {"SurrogateEscape", "binary\xff\xfe", "binary\\udcff\\udcfe"},
                             {"JsonInJson", "a\"b\\c\nd\xc3\xa9", "a\\\\\\\"b\\\\\\\\c\\\\nd\\\\u00e9"},
                             {"JsonInJsonInJson", "line\nline", "line\\\\\\\\nline"},
                             {"EncodeUriComponent", "a b/c?d=e\xc3\xa9", "a%20b%2Fc%3Fd%3De%C3%A9"},
                             {"PercentLower", "a b/c?d=e\xc3\xa9", "a%20b%2fc%3fd%3de%c3%a9"},
                             {"Form", "a b/c?d=e+f", "a+b%2Fc%3Fd%3De%2Bf"},
                             {"PercentOfPercent", "100%25abc%", "100%2525abc%25"},
                             {"PercentInJson", "a/b\"c d~~", "a%2Fb%22c%20d~~"},
                             {"HexLower", kBinary, absl::BytesToHexString(kBinary)},
                             {"HexUpper", "s3cret-value", "7333637265742D76616C7565"},
                             {"HexMixed", "s3cret-value", "7333637265742d76616C7565"},
                             {"Base64OfNine", "s3cret-va", absl::Base64Escape("s3cret-va")},
                             {"Base64Special", std::string(9, '\xff') + "\xfb\xef\xbe", "////////////++++"},
                             {"Base64UrlSpecial", std::string(9, '\xff') + "\xfb\xef\xbe", "____________----"},
                             {"Base64EscapedSlashes", std::string(9, '\xff'), "\\/\\/\\/\\/\\/\\/\\/\\/\\/\\/\\/\\/"},
                             {"Base64Percent", std::string(9, '\xff'), "%2F%2F%2f%2F%2F%2F%2F%2F%2F%2F%2F%2F"},
                         }),
                         [](const auto& info) { return info.param.what; });

// The digits at the edges that a value shares with what stands beside it go with it.
TEST(Redactor, ReplacesBase64AtEveryAlignment) {
  for (const size_t size : {8, 9, 10, 40, 41, 42}) {
    const std::string value = std::string("0123456789~?>abcdefghijklmnopqrstuvwxyz-----").substr(0, size);
    for (size_t before = 0; before <= 6; ++before) {
      for (size_t after = 0; after <= 3; ++after) {
        const std::string whole = absl::StrCat(std::string(before, '\xf3'), value, std::string(after, '\x9c'));
        for (const std::string& text : {absl::Base64Escape(whole), absl::WebSafeBase64Escape(whole)}) {
          const size_t first = before * 8 / 6;
          const size_t end = ((before + size) * 8 + 5) / 6;
          EXPECT_EQ(RedactInPieces({{"K", value}}, text),
                    absl::StrCat(text.substr(0, first), "[keyferry:K]", text.substr(end)))
              << size << " bytes after " << before << " before " << after;
        }
      }
    }
  }
}

TEST(Redactor, ReplacesBase64InLines) {
  const std::string value(100, 'x');
  const std::string text = absl::Base64Escape(value);
  for (const char* const line_break : {"\n", "\r\n", "\\n", "\\r\\n", "\\\\n"}) {
    EXPECT_EQ(RedactInPieces({{"K", value}}, absl::StrCat(text.substr(0, 76), line_break, text.substr(76), "!")),
              "[keyferry:K]==!");
  }
}

TEST(Redactor, LeavesShortValuesAlone) {
  const auto patterns = PatternSet::Compile({{"SHORT", "1234567"}, {"EMPTY", ""}, {"LONG", "12345678"}});
  EXPECT_EQ(patterns->too_short(), (std::vector<std::string>{"SHORT", "EMPTY"}));
  Redactor redactor(patterns);
  std::string output;
  redactor.Write("1234567 12345678\n", output);
  EXPECT_EQ(output, "1234567 [keyferry:LONG]\n");
}

struct Overlap {
  const char* what;
  std::vector<NamedValue> values;
  std::string text;
  std::string expected;
};

TEST(Redactor, ReplacesOverlappingValuesAsOne) {
  const Overlap cases[] = {
      {"nested",
       {{"INNER", "password"}, {"OUTER", "https://user:password@host"}},
       "<https://user:password@host>",
       "<[keyferry:OUTER]>"},
      {"prefix",
       {{"SHORT", "abcdefgh"}, {"LONG", "abcdefghijklm"}},
       "abcdefghijklm abcdefghijklx",
       "[keyferry:LONG] [keyferry:SHORT]ijklx"},
      {"suffix",
       {{"SHORT", "fghijklm"}, {"LONG", "abcdefghijklm"}},
       "abcdefghijklm xfghijklm",
       "[keyferry:LONG] x[keyferry:SHORT]"},
      {"chain",
       {{"A", "abcdefgh"}, {"B", "ghijklmnopq"}, {"C", "pqrstuvw"}},
       "<abcdefghijklmnopqrstuvw>",
       "<[keyferry:B]>"},
      {"beside",
       {{"A", "abcdefgh"}, {"B", "ijklmnop"}},
       "abcdefghijklmnopabcdefgh",
       "[keyferry:A][keyferry:B][keyferry:A]"},
      {"with itself", {{"A", "abaabaab"}}, "xabaabaabaabx", "x[keyferry:A]x"},
      {"the same value", {{"FIRST", "abcdefgh"}, {"SECOND", "abcdefgh"}}, "abcdefgh", "[keyferry:FIRST]"},
      {"a value within one that does not end",
       {{"IN", "cdefghij"}, {"OUT", "abcdefghijklmnopqrst"}},
       "abcdefghijklmnopqrs.",
       "ab[keyferry:IN]klmnopqrs."},
      {"a raw value that is the beginning of its own escape", {{"A", "abcdefg\\"}}, "abcdefg\\\\,", "[keyferry:A],"},
  };
  for (const Overlap& overlap : cases) {
    EXPECT_EQ(RedactInPieces(overlap.values, overlap.text), overlap.expected) << overlap.what;
  }
}

TEST(Redactor, NamesAreSafeInJson) {
  EXPECT_EQ(Redact({{"A\"\\\n\xff", "s3cret-value"}}, "s3cret-value"), "[keyferry:A____]");
}

TEST(Redactor, PassesEverythingOnWithoutPatterns) {
  EXPECT_EQ(RedactInPieces({}, "{\"a\":\"\\u00e9\"}\n"), "{\"a\":\"\\u00e9\"}\n");
}

TEST(Redactor, PassesNearMissesOn) {
  for (const char* const text : {"s3cret-valu", "s3cret_value", "S3CRET-VALUE", "73 33 63 72", "s3cret-valuE", "\\",
                                 "%2", "s3cret-valuczM", "\\u00", "7333637265742d76616c756"}) {
    EXPECT_EQ(RedactInPieces({{"K", "s3cret-value"}}, text), text);
  }
}

}  // namespace
}  // namespace keyferry::injector
