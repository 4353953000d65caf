// Lines of JSON stay valid JSON.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "injector/redact/redactor.h"

namespace keyferry::injector {
namespace {

using nlohmann::json;

std::string Redact(const std::vector<NamedValue>& values, absl::string_view text) {
  const auto patterns = PatternSet::Compile(values);
  Redactor redactor(patterns);
  std::string output;
  redactor.Write(text, output);
  redactor.Finish(output);
  Redactor bytewise(patterns);
  std::string other;
  for (size_t i = 0; i < text.size(); ++i) bytewise.Write(text.substr(i, 1), other);
  bytewise.Finish(other);
  EXPECT_EQ(other, output);
  return output;
}

struct Case {
  const char* what;
  std::string value;
  std::string text;
  std::string expected;
};

TEST(RedactorJson, StaysValid) {
  const Case cases[] = {
      {"in a string", "a\"b\\c\nd!", R"({"k":"<a\"b\\c\nd!>"})", R"({"k":"<[keyferry:K]>"})"},
      {"the rest of an escape", "nabcdefgh", R"({"k":"\nabcdefgh"})", R"({"k":"\\[keyferry:K]"})"},
      {"the rest of a unicode escape", "e9abcdef", R"({"k":"\u00e9abcdef"})", R"({"k":"\u0020[keyferry:K]"})"},
      {"a low surrogate", "ude00abcd", R"({"k":"\ud83d\ude00abcd"})", R"({"k":"\ud83d\udc00[keyferry:K]"})"},
      {"the beginning of an escape", "abcdefg\\", R"({"k":"abcdefg\"!"})", R"({"k":"[keyferry:K]!"})"},
      {"the beginning of a unicode escape", "abcdef\\u00", R"({"k":"abcdef\u00e9!"})", R"({"k":"[keyferry:K]!"})"},
      {"a high surrogate", "abc\\ud83d", R"({"k":"abc\ud83d\ude00!"})", R"({"k":"[keyferry:K]!"})"},
      {"a number", "12345678", R"({"k":12345678,"l":1})", R"({"k":"[keyferry:K]","l":1})"},
      {"the beginning of a number", "12345678", R"({"k":1234567890.5e1})", R"({"k":"[keyferry:K]"})"},
      {"the end of a number", "12345678", R"({"k":-9912345678})", R"({"k":-990})"},
      {"an object", R"({"type":"account"})", R"({"k":{"type":"account"}})", R"({"k":"[keyferry:K]"})"},
      {"a string and its quotes", "\"abcdefgh\"", R"({"k":"abcdefgh"})", R"({"k":"[keyferry:K]"})"},
      {"a quote and a beginning", "\"abcdefgh", R"({"k":"abcdefghi"})", R"({"k":"[keyferry:K]i"})"},
      {"an end and its quote", "abcdefgh\"", R"({"k":"!abcdefgh"})", R"({"k":"![keyferry:K]"})"},
      {"a first key and its quotes", "\"abcdefgh\"", R"({"abcdefgh":1})", R"({"[keyferry:K]":1})"},
      {"two strings of a list", "abcd\",\"efgh", R"({"k":["abcd","efgh"]})", R"({"k":["[keyferry:K]"]})"},
  };
  for (const Case& one : cases) {
    const std::string output = Redact({{"K", one.value}}, one.text);
    EXPECT_EQ(output, one.expected) << one.what;
    EXPECT_TRUE(json::accept(output)) << one.what;
  }
}

TEST(RedactorJson, OtherLinesAreNotTakenForIt) {
  EXPECT_EQ(Redact({{"K", "s3cret-value"}}, "[INFO] C:\\s3cret-value 7s3cret-value\n"),
            "[INFO] C:\\[keyferry:K] 7[keyferry:K]\n");
}

std::string RandomString(std::mt19937& random) {
  static const std::vector<std::string> kParts = {"a", "n",  "u00e9", "\"",       "\\",
                                                  "/", "\n", "\x01",  "\xc3\xa9", "\xf0\x9f\x98\x80",
                                                  "0", "b",  " ",     "{",        "\xe2\x82\xac"};
  std::string text;
  for (size_t parts = random() % 12; parts > 0; --parts) text += kParts[random() % kParts.size()];
  return text;
}

// Every string of a document, with a value somewhere in it, written as four JSON writers do.
TEST(RedactorJson, KeepsRandomDocumentsValid) {
  std::mt19937 random(11);
  size_t exact = 0;
  for (int i = 0; i < 4000; ++i) {
    std::string value;
    while (value.size() < 8) value += RandomString(random);
    const std::string before = RandomString(random);
    const std::string after = RandomString(random);
    const std::string whole = absl::StrCat(before, value, after);
    json document = {{"jsonrpc", "2.0"}, {"id", i}, {"text", whole}, {"last", {before, true, nullptr, 1.5}}};
    if (i % 2 == 0) document["nested"] = json({{"text", whole}}).dump();
    std::string text = document.dump(-1, ' ', /*ensure_ascii=*/i % 3 == 0);
    if (i % 5 == 0) text = absl::StrReplaceAll(text, {{"/", "\\/"}});
    const std::string output = Redact({{"K", value}}, absl::StrCat(text, "\n"));
    ASSERT_TRUE(json::accept(output)) << "value " << json(value).dump() << " in " << text << " gave " << output;
    const std::string shown = json::parse(output)["text"];
    ASSERT_NE(shown.find("[keyferry:K]"), std::string::npos);
    ASSERT_EQ(shown.find(value), std::string::npos);
    exact += shown == absl::StrCat(before, "[keyferry:K]", after) ? 1 : 0;
    ASSERT_EQ(output.find(json(value).dump().substr(1, json(value).dump().size() - 2)), std::string::npos);
  }
  EXPECT_GT(exact, 3000u);
}

}  // namespace
}  // namespace keyferry::injector
