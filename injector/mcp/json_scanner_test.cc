#include "injector/mcp/json_scanner.h"

#include <cstdint>
#include <iostream>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace keyferry::injector::mcp {
namespace {

bool IsValue(absl::string_view text) {
  // On the heap in exact size, so that a sanitizer sees a read past its end.
  const std::string copy(text);
  const char* const end = copy.data() + copy.size();
  return SkipJsonValue(copy.data(), end) == end;
}

// The oracle takes what we refuse on purpose (line breaks between tokens) and refuses what we leave alone (bytes that
// are not UTF-8): neither occurs in the inputs made here, apart from the former, which is looked for.
bool OracleTakes(const std::string& text) {
  if (text.empty() || text.find_first_of("\r\n") != std::string::npos) return false;
  if (text.front() == ' ' || text.front() == '\t' || text.back() == ' ' || text.back() == '\t') return false;
  return nlohmann::json::accept(text);
}

TEST(JsonScannerTest, TakesStrictJsonAndNothingElse) {
  const struct {
    const char* text;
    bool valid;
  } kCases[] = {
      {"{}", true},
      {"[]", true},
      {"null", true},
      {"true", true},
      {"false", true},
      {"0", true},
      {"-0", true},
      {"-0.0e-0", true},
      {"1E+9", true},
      {"12.50", true},
      {R"("")", true},
      {R"("\u00Ff")", true},
      {R"("\"\\\/\b\f\n\r\t")", true},
      {"[[{\"a\":[1,{}]}],2]", true},
      {"{ \"a\"\t: 1 , \"b\" :2 }", true},
      {"\"\x7f\xff\"", true},
      {"{\"a\":1,\"a\":2}", true},
      {"", false},
      {"01", false},
      {"-", false},
      {"+1", false},
      {".5", false},
      {"1.", false},
      {"1e", false},
      {"1e+", false},
      {"0x1", false},
      {"NaN", false},
      {"Infinity", false},
      {"nul", false},
      {"True", false},
      {"'a'", false},
      {"\"", false},
      {R"("\x")", false},
      {R"("\u12g4")", false},
      {R"("\u123)", false},
      {"\"a\nb\"", false},
      {"\"\x01\"", false},
      {"[1,]", false},
      {"[,1]", false},
      {"[1 2]", false},
      {"{,}", false},
      {"{\"a\":1,}", false},
      {"{\"a\"}", false},
      {"{\"a\":}", false},
      {"{a:1}", false},
      {"{1:1}", false},
      {"[}", false},
      {"{]", false},
      {"[1", false},
      {"{\"a\":1", false},
      {"]", false},
      {"//c\n1", false},
      {"[1/**/]", false},
      {"[1\r]", false},
      {"[1\n]", false},
      {"[1\v]", false},
      {"\xef\xbb\xbf{}", false},
      {"1 ", false},
      {"{}{}", false},
  };
  for (const auto& test : kCases) EXPECT_EQ(IsValue(test.text), test.valid) << test.text;
}

TEST(JsonScannerTest, NestingIsBounded) {
  EXPECT_TRUE(IsValue(std::string(kMaxJsonDepth, '[') + std::string(kMaxJsonDepth, ']')));
  EXPECT_FALSE(IsValue(std::string(kMaxJsonDepth + 1, '[') + std::string(kMaxJsonDepth + 1, ']')));
  EXPECT_FALSE(IsValue(std::string(1 << 20, '[')));
}

TEST(JsonScannerTest, FindsWhatEndsAStringAtEveryOffset) {
  for (size_t length = 0; length < 70; ++length) {
    const std::string text = absl::StrCat("\"", std::string(length, 'a'), "\"");
    EXPECT_TRUE(IsValue(text));
    for (size_t at = 1; at <= length; ++at) {
      std::string changed = text;
      changed[at] = '"';
      EXPECT_EQ(IsValue(changed), false) << changed;
      changed[at] = '\x1f';
      EXPECT_FALSE(IsValue(changed)) << length << " " << at;
      changed[at] = '\\';
      EXPECT_FALSE(IsValue(changed)) << changed;
      changed = text;
      changed[at] = '\xc3';
      EXPECT_TRUE(IsValue(changed));
    }
  }
}

std::string RandomValue(std::mt19937_64& random, int depth) {
  const auto pick = [&](uint64_t n) { return random() % n; };
  static constexpr const char* kScalars[] = {"0",
                                             "-1",
                                             "1.5e3",
                                             "null",
                                             "true",
                                             "\"\"",
                                             "\"a\"",
                                             "\"\\n\"",
                                             "\"\\u0041\"",
                                             "false",
                                             "\"abcdefghijklmnopqrst\"",
                                             "12"};
  if (depth == 0 || pick(3) == 0) return kScalars[pick(12)];
  const bool object = pick(2) == 0;
  std::string text(1, object ? '{' : '[');
  for (uint64_t i = pick(4); i > 0; --i) {
    absl::StrAppend(&text, pick(3) == 0 ? " " : "", object ? "\"k\":" : "", RandomValue(random, depth - 1),
                    i > 1 ? "," : "");
  }
  return text + (object ? "}" : "]");
}

TEST(JsonScannerTest, AgreesWithAnotherParserOnChangedInputs) {
  constexpr uint64_t kSeed = 20250618;
  std::cout << "seed " << kSeed << "\n";
  std::mt19937_64 random(kSeed);
  static constexpr absl::string_view kBytes = "{}[],:\"\\ 01e.-+tfnu/a\t\n\r\x01";
  int valid = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string text = RandomValue(random, 4);
    ASSERT_TRUE(IsValue(text)) << text;
    for (uint64_t changes = random() % 3; changes > 0 && !text.empty(); --changes) {
      const size_t at = random() % text.size();
      const char byte = kBytes[random() % kBytes.size()];
      switch (random() % 3) {
        case 0:
          text[at] = byte;
          break;
        case 1:
          text.insert(at, 1, byte);
          break;
        default:
          text.erase(at, 1);
      }
    }
    const bool taken = OracleTakes(text);
    valid += taken ? 1 : 0;
    ASSERT_EQ(IsValue(text), taken) << text;
  }
  EXPECT_GT(valid, 5000);
  EXPECT_LT(valid, 18000);
}

}  // namespace
}  // namespace keyferry::injector::mcp
