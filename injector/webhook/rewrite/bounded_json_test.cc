#include "injector/webhook/rewrite/bounded_json.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace keyferry::injector::webhook {
namespace {

using testing::HasSubstr;

std::string Problem(const std::string& text, const JsonBounds& bounds = JsonBounds()) {
  const absl::StatusOr<Json> parsed = ParseBoundedJson(text, bounds);
  EXPECT_FALSE(parsed.ok()) << text;
  return std::string(parsed.status().message());
}

TEST(BoundedJsonTest, ReadsWhatTheLibraryReads) {
  for (const char* const text : {R"({"a":[1,-2,3.5,true,null,"\u00e9",{"b":{}},[[]]],"c":18446744073709551615})", "[]",
                                 "1", "\"x\"", R"([{"a":1},{"a":2}])", R"({"a":{"a":{"a":1}},"b":[{"a":1}]})"}) {
    const absl::StatusOr<Json> parsed = ParseBoundedJson(text);
    ASSERT_TRUE(parsed.ok()) << text;
    EXPECT_EQ(*parsed, Json::parse(text)) << text;
  }
}

TEST(BoundedJsonTest, RefusesAMemberThatIsThereTwice) {
  for (const char* const text : {R"({"a":1,"a":1})", R"({"x":[{"b":0,"a":1,"b":2}]})", R"({"a":1,"\u0061":2})"}) {
    EXPECT_THAT(Problem(text), HasSubstr("twice"));
  }
}

TEST(BoundedJsonTest, IsBounded) {
  JsonBounds bounds;
  bounds.depth = 3;
  bounds.bytes = 20;
  EXPECT_TRUE(ParseBoundedJson("[[[1]]]", bounds).ok());
  EXPECT_THAT(Problem("[[[[1]]]]", bounds), HasSubstr("deeply"));
  EXPECT_THAT(Problem(R"({"a":[{"b":[]}]})", bounds), HasSubstr("deeply"));
  EXPECT_THAT(Problem("\"" + std::string(20, 'x') + "\"", bounds), HasSubstr("longer"));
  EXPECT_THAT(Problem(std::string(1 << 20, '[')), HasSubstr("deeply"));
}

TEST(BoundedJsonTest, BoundsTheNumberOfValues) {
  JsonBounds bounds;
  bounds.values = 5;
  EXPECT_TRUE(ParseBoundedJson(R"([{"a":1},{},2])", bounds).ok());
  EXPECT_THAT(Problem(R"([{"a":1},{},2,3])", bounds), HasSubstr("too many values"));
  EXPECT_THAT(Problem(R"([{"a":1},{},[],{}])", bounds), HasSubstr("too many values"));
  std::string many = "[{}";
  for (int i = 0; i < 1'000'000; ++i) many += ",{}";
  const absl::StatusOr<Json> parsed = ParseBoundedJson(many + "]");
  EXPECT_THAT(std::string(parsed.status().message()), HasSubstr("too many values"));
}

TEST(BoundedJsonTest, ErrorsShowNothingOfTheText) {
  for (const char* const text :
       {"{\"password\":hunter2}", "[1,]", "{\"a\":1} x", "", "\"\xff\"", "1e999", "[\"hunter2"}) {
    EXPECT_THAT(Problem(text), testing::Not(HasSubstr("hunter2"))) << text;
  }
}

}  // namespace
}  // namespace keyferry::injector::webhook
