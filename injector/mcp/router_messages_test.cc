// Which message goes where.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "injector/mcp/router_fixture.h"

namespace keyferry::injector::mcp {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

using RouterMessagesTest = RouterTest;

TEST_F(RouterMessagesTest, LinesPassByteForByte) {
  router_.FromClient(absl::StrCat(" ", kInitialize, "\t\r\n"));
  EXPECT_THAT(Calls(), ElementsAre(absl::StrCat("server 1  ", kInitialize, "\t\r")));
  router_.FromServer(1, Answer("0", kResult));
  EXPECT_THAT(Calls(), ElementsAre(ToClient(Answer("0", kResult))));
}

TEST_F(RouterMessagesTest, RequestsOfServersGetIdsOfTheirOwn) {
  Handshake();
  Client(Request("1"));
  Calls();
  Server(1, Request("1", "sampling/createMessage", R"({"_meta":{"progressToken":1},"x":"\n"})"));
  Rotate(2, 1);
  Server(2, Request("\"1\"", "roots/list"));
  Server(2, R"({"params":{"_meta":{"progressToken":"a"}},"method":"elicitation/create","jsonrpc":"2.0","id":1})");
  EXPECT_THAT(
      Calls(),
      ElementsAre(
          ToClient(Request("1", "sampling/createMessage", R"({"_meta":{"progressToken":1},"x":"\n"})")),
          kReplayedInitialize, ToServer(2, kInitialized), "ready 2", kToolsChanged,
          ToClient(Request("2", "roots/list")),
          ToClient(
              R"({"params":{"_meta":{"progressToken":3}},"method":"elicitation/create","jsonrpc":"2.0","id":3})")));
  Client(Notification("notifications/progress", R"({"progressToken":3,"progress":1})"));
  Client(Notification("notifications/progress", R"({"progressToken":2,"progress":1})"));
  Client(Answer("3"));
  Client(Answer("2.0"));
  Client(Answer("1"));
  Client(Answer("1"));
  EXPECT_THAT(Calls(),
              ElementsAre(ToServer(2, Notification("notifications/progress", R"({"progressToken":"a","progress":1})")),
                          ToServer(2, Answer("1")), ToServer(2, Answer("\"1\"")), ToServer(1, Answer("1"))));
}

TEST_F(RouterMessagesTest, AnOldProcessIsKeptForTheAnswersThatItWaitsFor) {
  Handshake();
  Server(1, Request("5", "elicitation/create"));
  Rotate(2, 1);
  EXPECT_TRUE(router_.Draining(1));
  Calls();
  Client(Answer("1"));
  EXPECT_THAT(Calls(), ElementsAre(ToServer(1, Answer("5")), "close 1"));
}

TEST_F(RouterMessagesTest, AnAnswerWhoseOwnerIsGoneIsDropped) {
  Handshake();
  Server(1, Request("5", "elicitation/create"));
  Calls();
  router_.ServerExited(1);
  EXPECT_THAT(Calls(), ElementsAre(StartsWith(
                           R"(client {"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,)")));
  Client(Answer("1"));
  EXPECT_THAT(Calls(), IsEmpty());
  EXPECT_THAT(Logs(), Contains(HasSubstr("no process waits for")));
}

TEST_F(RouterMessagesTest, CancellationFollowsItsRequest) {
  Handshake();
  Client(Request("\"a\""));
  Server(1, Request("7", "roots/list"));
  Rotate(2, 1);
  Client(Request("\"b\""));
  Calls();
  const std::string of_a = Notification("notifications/cancelled", R"({"requestId":"\u0061"})");
  const std::string of_b = Notification("notifications/cancelled", R"({"requestId":"b"})");
  Client(of_b);
  Client(of_a);
  Client(of_a);
  Client(Notification("notifications/cancelled", R"({"requestId":"c"})"));
  EXPECT_THAT(Calls(), ElementsAre(ToServer(2, of_b), ToServer(1, of_a)));
  EXPECT_EQ(router_.Outstanding(1), 1u);
  Server(2, Notification("notifications/cancelled", R"({"requestId":7})"));
  Server(1, Notification("notifications/cancelled", R"({"requestId":7,"reason":"r"})"));
  EXPECT_THAT(Calls(), ElementsAre(ToClient(Notification("notifications/cancelled", R"({"requestId":1,"reason":"r"})")),
                                   "close 1"));
  // The answer was on its way: it passes, once.
  Server(2, Answer("\"b\""));
  Server(2, Answer("\"b\""));
  Server(1, Answer("\"a\""));
  EXPECT_THAT(Calls(), ElementsAre(ToClient(Answer("\"b\"")), ToClient(Answer("\"a\""))));
}

TEST_F(RouterMessagesTest, AnswersNobodyAskedForAreDropped) {
  Handshake();
  Client(Request("1"));
  Rotate(2, 1);
  Calls();
  Server(2, Answer("1"));
  Server(2, Answer("\"1\""));
  Server(1, Answer("\"1\""));
  EXPECT_THAT(Calls(), IsEmpty());
  Server(1, Answer("1e0"));
  EXPECT_THAT(Calls(), ElementsAre(ToClient(Answer("1e0")), "close 1"));
}

TEST_F(RouterMessagesTest, NotificationsOfADrainingProcessPass) {
  Handshake();
  Client(Request("1"));
  Rotate(2, 1);
  Calls();
  const std::string progress = Notification("notifications/progress", R"({"progressToken":1,"progress":1})");
  Server(1, progress);
  Server(1, Notification("notifications/message"));
  Server(1, Notification("notifications/resources/updated"));
  Server(1, Notification("notifications/tools/list_changed"));
  EXPECT_THAT(Calls(), ElementsAre(ToClient(progress), ToClient(Notification("notifications/message")),
                                   ToClient(Notification("notifications/resources/updated"))));
  Server(2, Notification("notifications/tools/list_changed"));
  EXPECT_THAT(Calls(), ElementsAre(ToClient(Notification("notifications/tools/list_changed"))));
}

TEST_F(RouterMessagesTest, RootsChangedReachesAllWhoAreReady) {
  Handshake();
  Client(Request("1"));
  Rotate(2, 1);
  router_.StartReplacement(3);
  Calls();
  const std::string changed = Notification("notifications/roots/list_changed");
  Client(changed);
  EXPECT_THAT(Calls(), ElementsAre(ToServer(1, changed), ToServer(2, changed)));
}

TEST_F(RouterMessagesTest, GarbageIsCountedAndNotPassedOn) {
  Handshake();
  for (int i = 0; i < 100; ++i) Server(1, "npm WARN secret");
  EXPECT_THAT(Calls(), IsEmpty());
  EXPECT_THAT(Logs(), ElementsAre(HasSubstr("not an MCP message"), HasSubstr("10 so far"), HasSubstr("100 so far")));
  Server(1, "");
  Client(" \r");
  EXPECT_THAT(Calls(), IsEmpty());
  Client(R"({"jsonrpc":"2.0","id":1,"id":2,"method":"x"})");
  EXPECT_THAT(Calls(), ElementsAre(StartsWith(ErrorFor("null", -32700))));
  router_.OversizedFromClient();
  EXPECT_THAT(Calls(), ElementsAre(StartsWith(ErrorFor("null", -32600))));
  router_.OversizedFromServer(1);
  EXPECT_THAT(Calls(), IsEmpty());
}

TEST_F(RouterMessagesTest, ReservedIdsAreRefused) {
  Handshake();
  Client(Request(R"("keyf\u0065rry-replay-1")"));
  EXPECT_THAT(Calls(), ElementsAre(StartsWith(ErrorFor(R"("keyf\u0065rry-replay-1")", -32600))));
}

TEST_F(RouterMessagesTest, ABatchToOneProcessStaysWhole) {
  Handshake();
  const std::string batch = absl::StrCat("[ ", Request("1"), ", ", Notification("n"), "]");
  Client(batch);
  EXPECT_THAT(Calls(), ElementsAre(ToServer(1, batch)));
  const std::string answers = absl::StrCat("[", Answer("1"), "]");
  Server(1, answers);
  EXPECT_THAT(Calls(), ElementsAre(ToClient(answers)));
  Client(absl::StrCat("[", Request("2"), ",1]"));
  EXPECT_THAT(Calls(), ElementsAre(StartsWith(ErrorFor("null", -32700))));
}

TEST_F(RouterMessagesTest, ABatchIsDividedByDestination) {
  Handshake();
  Client(Request("1"));
  Server(1, absl::StrCat("[", Request("8", "roots/list"), ",", Answer("7"), ",", Request("9", "roots/list"), "]"));
  Rotate(2, 1);
  EXPECT_THAT(Calls(),
              Contains(ToClient(absl::StrCat("[", Request("1", "roots/list"), ",", Request("2", "roots/list"), "]"))));
  Client(absl::StrCat("[", Answer("1"), ",", Request("3"), ",", Answer("2"), "]"));
  EXPECT_THAT(Calls(), ElementsAre(ToServer(1, absl::StrCat("[", Answer("8"), ",", Answer("9"), "]")),
                                   ToServer(2, Request("3"))));
  // What closes a process waits for the end of the batch.
  Server(1, absl::StrCat("[", Answer("1"), ",", Notification("n"), "]"));
  EXPECT_THAT(Calls(), ElementsAre(ToClient(absl::StrCat("[", Answer("1"), ",", Notification("n"), "]")), "close 1"));
}

TEST_F(RouterMessagesTest, AParseErrorWithoutIdPassesUnlessItMayBeAboutAReplay) {
  Handshake();
  Server(1, Failure("null"));
  EXPECT_THAT(Calls(), ElementsAre(ToClient(Failure("null"))));
  Client(Request("1", "logging/setLevel", R"({"level":"info"})"));
  Server(1, Answer("1"));
  Rotate(2, 1);
  Calls();
  Server(2, Failure("null"));
  EXPECT_THAT(Calls(), IsEmpty());
  Server(2, Answer(ReplayId(2)));
  Server(2, Failure("null"));
  EXPECT_THAT(Calls(), ElementsAre(ToClient(Failure("null"))));
}

}  // namespace
}  // namespace keyferry::injector::mcp
