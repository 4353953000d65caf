#include "injector/redact/json_tracker.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace keyferry::injector {
namespace {

JsonTracker After(absl::string_view text) {
  JsonTracker tracker;
  tracker.Advance(text);
  return tracker;
}

TEST(JsonTracker, TellsJsonFromOtherLines) {
  for (const char* const text : {"{\"a", "[{\"a", " [ [ \"a", "\"a", "{}", "log\n{\"a"})
    EXPECT_TRUE(After(text).in_json()) << text;
  for (const char* const text : {"", "{", "[INFO] {\"a\"", "[2026", "a \"b\"", "{a", "{\"a\"}\n", "}"}) {
    EXPECT_FALSE(After(text).in_json()) << text;
  }
}

TEST(JsonTracker, KnowsStringsAndNumbers) {
  EXPECT_TRUE(After("{\"a").in_string());
  EXPECT_FALSE(After("{\"a\":").in_string());
  EXPECT_TRUE(After("{\"a\\\"").in_string());
  EXPECT_FALSE(After("{\"a\\\\\"").in_string());
  EXPECT_TRUE(After("{\"a\":-1").in_number());
  EXPECT_FALSE(After("{\"a\":\"1").in_number());
}

TEST(JsonTracker, EndsEscapes) {
  const std::pair<const char*, const char*> cases[] = {
      {"{\"a", ""},
      {"{\"\\", "\\"},
      {"{\"\\\\", ""},
      {"{\"\\u", "0020"},
      {"{\"\\u00", "20"},
      {"{\"\\ud8", "20\\udc00"},
      {"{\"\\ud83", "0\\udc00"},
      {"{\"\\ud83d", "\\udc00"},
      {"{\"\\ud83d\\", "udc00"},
      {"{\"\\ud83d\\u", "dc00"},
      {"{\"\\ud83d\\ud", "c00"},
      {"{\"\\ud83d\\ude00", ""},
      {"\\", ""},
  };
  for (const auto& [text, end] : cases) EXPECT_EQ(After(text).EscapeEnd(), end) << text;
}

// Long pieces are looked through in blocks; byte by byte is the reference.
TEST(JsonTracker, DoesNotDependOnPieces) {
  std::mt19937 random(5);
  for (int i = 0; i < 3000; ++i) {
    std::string text = "{\"";
    for (size_t size = random() % 400; text.size() < size;) text += "\"\\\\uabd83 "[random() % 10];
    const JsonTracker whole = After(text);
    JsonTracker single;
    for (const char c : text) single.Advance({&c, 1});
    ASSERT_EQ(whole.in_string(), single.in_string()) << text;
    ASSERT_EQ(whole.EscapeEnd(), single.EscapeEnd()) << text;
  }
}

}  // namespace
}  // namespace keyferry::injector
