#include "injector/mcp/message_head.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace keyferry::injector::mcp {
namespace {

using ::testing::ElementsAre;
using Kind = MessageHead::Kind;

TEST(ParseMessageHeadTest, ReadsWhatRoutingNeeds) {
  const struct {
    const char* text;
    Kind kind;
    const char* id;
    const char* key;
    const char* method;
    const char* params;
    const char* result;
  } kCases[] = {
      {R"({"jsonrpc":"2.0","id":1,"method":"ping"})", Kind::kRequest, "1", "n1", "ping", "", ""},
      {R"( { "method" : "a\/b" , "params" : {"id":2} , "id" : "\u0061" , "jsonrpc" : "2.\u0030" }	)",
       Kind::kRequest, R"("\u0061")", "sa", "a/b", R"({"id":2})", ""},
      {R"({"jsonrpc":"2.0","id":"1","method":"x","params":[]})", Kind::kRequest, R"("1")", "s1", "x", "[]", ""},
      {R"({"jsonrpc":"2.0","id":-1.50,"method":"x","params":null})", Kind::kRequest, "-1.50", "n-15e-1", "x", "null",
       ""},
      {R"({"jsonrpc":"2.0","id":"","method":""})", Kind::kRequest, R"("")", "s", "", "", ""},
      {R"({"jsonrpc":"2.0","method":"n"})", Kind::kNotification, "", "", "n", "", ""},
      {R"({"jsonrpc":"2.0","id":1,"result":{"id":2,"method":"x"}})", Kind::kResult, "1", "n1", "", "",
       R"({"id":2,"method":"x"})"},
      {R"({"result":null,"id":1e0,"jsonrpc":"2.0","extra":1})", Kind::kResult, "1e0", "n1", "", "", "null"},
      {R"({"jsonrpc":"2.0","id":1,"error":{"code":1,"message":""}})", Kind::kError, "1", "n1", "", "", ""},
      {R"({"jsonrpc":"2.0","id":null,"error":{}})", Kind::kError, "null", "", "", "", ""},
  };
  for (const auto& test : kCases) {
    SCOPED_TRACE(test.text);
    const std::string text = test.text;
    MessageHead head;
    ASSERT_TRUE(ParseMessageHead(text, head));
    EXPECT_EQ(head.kind, test.kind);
    EXPECT_EQ(head.id, test.id);
    EXPECT_EQ(head.id_key, test.key);
    EXPECT_EQ(head.method, test.method);
    EXPECT_EQ(head.params, test.params);
    EXPECT_EQ(head.result, test.result);
  }
}

TEST(ParseMessageHeadTest, RefusesWhatTwoReadersCouldTakeDifferently) {
  for (const std::string text : {
           // A member twice, escaped, or in another case.
           R"({"jsonrpc":"2.0","id":1,"id":2,"method":"x"})",
           R"({"jsonrpc":"2.0","id":1,"\u0069d":2,"method":"x"})",
           R"({"jsonrpc":"2.0","id":1,"ID":2,"method":"x"})",
           R"({"jsonrpc":"2.0","Id":2,"method":"x"})",
           R"({"jsonrpc":"2.0","id":1,"method":"x","method":"x"})",
           R"({"jsonrpc":"2.0","id":1,"method":"x","Method":"y"})",
           R"({"jsonrpc":"2.0","jsonrpc":"2.0","id":1,"method":"x"})",
           R"({"jsonrpc":"2.0","id":1,"result":1,"result":2})",
           R"({"jsonrpc":"2.0","id":1,"method":"x","params":{},"params":{}})",
           R"({"jsonrpc":"2.0","id":1,"result":1,"Error":2})",
           "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":1,\"re\xc5\xbfult\":2}",
           "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":1,\"\xff\":2}",
           // Neither a call nor an answer, or both.
           R"({"jsonrpc":"2.0","id":1})",
           R"({"jsonrpc":"2.0"})",
           R"({"jsonrpc":"2.0","id":1,"result":1,"error":2})",
           R"({"jsonrpc":"2.0","id":1,"result":1,"error":null})",
           R"({"jsonrpc":"2.0","id":1,"method":"x","result":1})",
           R"({"jsonrpc":"2.0","result":1})",
           R"({"jsonrpc":"2.0","id":1,"result":1,"params":{}})",
           // Ids and other members of the wrong kind.
           R"({"jsonrpc":"2.0","id":null,"method":"x"})",
           R"({"jsonrpc":"2.0","id":null,"result":1})",
           R"({"jsonrpc":"2.0","id":true,"method":"x"})",
           R"({"jsonrpc":"2.0","id":[1],"method":"x"})",
           R"({"jsonrpc":"2.0","id":"\ud800","method":"x"})",
           R"({"jsonrpc":"2.0","id":1e9999999,"method":"x"})",
           R"({"jsonrpc":"2.0","id":1,"method":1})",
           R"({"jsonrpc":"2.0","id":1,"method":"\udc00"})",
           R"({"jsonrpc":"2.0","id":1,"method":"x","params":1})",
           R"({"jsonrpc":"1.0","id":1,"method":"x"})",
           R"({"jsonrpc":2.0,"id":1,"method":"x"})",
           R"({"id":1,"method":"x"})",
           // Not JSON.
           R"({"jsonrpc":"2.0","id":1,"method":"x","params":{"a":[}}})",
           R"({"jsonrpc":"2.0","id":01,"method":"x"})",
           R"({"jsonrpc":"2.0","id":1,"method":"x"} x)",
           "{\"jsonrpc\":\"2.0\",\r\"id\":1,\"method\":\"x\"}",
           "npm WARN",
           "1",
           "",
           "[]",
           "\xef\xbb\xbf{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\"}",
       }) {
    MessageHead head;
    EXPECT_FALSE(ParseMessageHead(text, head)) << text;
  }
}

TEST(ParseMessageHeadTest, LongIdsAreRefused) {
  MessageHead head;
  const std::string fits(kMaxIdBytes - 2, 'a');
  EXPECT_TRUE(ParseMessageHead(absl::StrCat(R"({"jsonrpc":"2.0","method":"x","id":")", fits, "\"}"), head));
  EXPECT_FALSE(ParseMessageHead(absl::StrCat(R"({"jsonrpc":"2.0","method":"x","id":"a)", fits, "\"}"), head));
}

TEST(ParseMessageHeadTest, EveryTruncationIsRefused) {
  const std::string text = R"({"jsonrpc":"2.0","id":"\u0061","method":"x","params":{"a":[1,"\n",true]}})";
  for (size_t length = 0; length < text.size(); ++length) {
    MessageHead head;
    EXPECT_FALSE(ParseMessageHead(std::string(text, 0, length), head)) << length;
  }
}

TEST(SplitBatchTest, GivesElements) {
  std::vector<absl::string_view> elements;
  EXPECT_TRUE(IsBatch(" [1]"));
  EXPECT_FALSE(IsBatch("{}"));
  EXPECT_FALSE(IsBatch(""));
  ASSERT_TRUE(SplitBatch(R"( [ {"a":[1,2]} ,"]", [] ] )", elements));
  EXPECT_THAT(elements, ElementsAre(R"({"a":[1,2]})", R"("]")", "[]"));
  for (const char* text : {"", "[", "[]", "[1", "[1,", "[1,]", "[,1]", "[1]]", "[1] x", "{}"}) {
    EXPECT_FALSE(SplitBatch(text, elements)) << text;
  }
}

}  // namespace
}  // namespace keyferry::injector::mcp
