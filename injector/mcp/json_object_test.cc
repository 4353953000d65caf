#include "injector/mcp/json_object.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace keyferry::injector::mcp {
namespace {

TEST(DecodeJsonStringTest, AgreesWithAnotherParser) {
  for (const std::string token : {R"("")", R"("a")", R"("\u0061")", R"("\"\\\/\b\f\n\r\t")", R"("\u00e9é")",
                                  R"("\uD83D\uDE00x")", R"("\u0000b")", R"("\u07ff\u0800\uffff")", R"("a\\u0041")"}) {
    std::string text;
    ASSERT_TRUE(DecodeJsonString(token, text)) << token;
    EXPECT_EQ(text, nlohmann::json::parse(token).get<std::string>()) << token;
  }
}

TEST(DecodeJsonStringTest, RefusesWhatReadersTakeDifferently) {
  for (const std::string token :
       {"", "\"", "a", "1", R"("a"b")", R"("\ud800")", R"("\ud800x")", R"("\udc00")", R"("\ud800\u0041")",
        R"("\ud800\n")", "\"\xff\"", "\"\xed\xa0\x80\"", "\"\xc0\xaf\"", R"("\u12")"}) {
    std::string text;
    EXPECT_FALSE(DecodeJsonString(token, text)) << token;
  }
}

TEST(CanonicalJsonNumberTest, EqualValuesAreEqualTexts) {
  const struct {
    const char* token;
    const char* number;
  } kCases[] = {
      {"0", "0"},
      {"-0", "0"},
      {"0.000", "0"},
      {"0e9", "0"},
      {"1", "1"},
      {"1.0", "1"},
      {"10e-1", "1"},
      {"0.1E+1", "1"},
      {"100", "100"},
      {"1e2", "100"},
      {"-1.50", "-15e-1"},
      {"1.5", "15e-1"},
      {"0.00012", "12e-5"},
      {"1e999999", "1e999999"},
      {"9007199254740993", "9007199254740993"},
      {"9007199254740992", "9007199254740992"},
      {"18446744073709551616", "18446744073709551616"},
      {"1.8446744073709551616e19", "18446744073709551616"},
      {"1e-1", "1e-1"},
      {"12345678901234567890123456789012345678901234567890", "1234567890123456789012345678901234567890123456789e1"},
  };
  for (const auto& test : kCases) {
    std::string number;
    EXPECT_TRUE(CanonicalJsonNumber(test.token, number)) << test.token;
    EXPECT_EQ(number, test.number) << test.token;
  }
}

TEST(CanonicalJsonNumberTest, RefusesOthers) {
  for (const char* token : {"", "-", "01", "1.", "a", "\"1\"", "1e1000000000", "1e9999999", "1e-9999999",
                            "1e99999999999999999999", "1 ", "null"}) {
    std::string number;
    EXPECT_FALSE(CanonicalJsonNumber(token, number)) << token;
  }
}

TEST(QuoteJsonStringTest, IsReadBack) {
  std::string all;
  for (int c = 0; c < 128; ++c) all += static_cast<char>(c);
  std::string text;
  ASSERT_TRUE(DecodeJsonString(QuoteJsonString(all), text));
  EXPECT_EQ(text, all);
}

TEST(JsonObjectReaderTest, ReadsMembers) {
  std::string seen;
  JsonObjectReader reader(R"({ "a" : [1, 2],"\u0062":{"c":"}"} , "":null})");
  while (reader.Next()) absl::StrAppend(&seen, reader.key(), "=", reader.value(), ";");
  EXPECT_TRUE(reader.ok());
  EXPECT_EQ(seen, R"(a=[1, 2];b={"c":"}"};=null;)");
}

TEST(JsonObjectReaderTest, RefusesWhatIsNoObject) {
  for (const char* text : {"", "1", "[]", "{", "{}x", "{\"a\"}", "{\"a\":1,}", "{,\"a\":1}", "{\"a\":1 \"b\":2}",
                           "{\"a\":1", "{\"\\ud800\":1}", "{\"a\":01}", "{} "}) {
    JsonObjectReader reader(text);
    while (reader.Next()) {
    }
    EXPECT_FALSE(reader.ok()) << text;
  }
}

TEST(FindJsonMemberTest, IsUnclearWhereReadersDiffer) {
  const struct {
    const char* object;
    JsonMember found;
    const char* value;
  } kCases[] = {
      {R"({"x":1,"uri":"a"})", JsonMember::kFound, "\"a\""},
      {R"({"\u0075ri":2})", JsonMember::kFound, "2"},
      {R"({"x":{"uri":1}})", JsonMember::kAbsent, ""},
      {R"({})", JsonMember::kAbsent, ""},
      {R"({"uri":1,"uri":1})", JsonMember::kUnclear, ""},
      {R"({"uri":1,"\u0075ri":1})", JsonMember::kUnclear, ""},
      {R"({"URI":1})", JsonMember::kUnclear, ""},
      {R"({"uri":1,"Uri":1})", JsonMember::kUnclear, ""},
      {R"({"uri":1,})", JsonMember::kUnclear, ""},
      {R"([])", JsonMember::kUnclear, ""},
      {"", JsonMember::kUnclear, ""},
  };
  for (const auto& test : kCases) {
    absl::string_view value;
    EXPECT_EQ(FindJsonMember(test.object, "uri", value), test.found) << test.object;
    EXPECT_EQ(test.found == JsonMember::kFound ? value : "", test.value);
  }
  EXPECT_TRUE(IsVariantOfKey("JsonRPC", "jsonrpc"));
  EXPECT_TRUE(IsVariantOfKey("re\xc5\xbfult", "result"));
  EXPECT_FALSE(IsVariantOfKey("result", "result"));
  EXPECT_FALSE(IsVariantOfKey("results", "result"));
}

}  // namespace
}  // namespace keyferry::injector::mcp
