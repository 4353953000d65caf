#include "injector/mcp/router.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "injector/mcp/recording_output.h"

namespace keyferry::injector::mcp {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr absl::string_view kInitialize =
    R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{"roots":{}},"clientInfo":{"name":"c","version":"1"},"_meta":{"progressToken":7}}})";
constexpr absl::string_view kReplayedInitialize =
    R"(server 2 {"jsonrpc":"2.0","id":"keyferry-replay-1","method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{"roots":{}},"clientInfo":{"name":"c","version":"1"}}})";
constexpr absl::string_view kInitialized = R"({"jsonrpc":"2.0","method":"notifications/initialized"})";
constexpr absl::string_view kResult =
    R"({"protocolVersion":"2025-06-18","capabilities":{"tools":{"listChanged":true},"resources":{"subscribe":true}},"serverInfo":{"name":"s","version":"1"}})";

std::string Request(absl::string_view id, absl::string_view method = "tools/call") {
  return absl::StrCat(R"({"jsonrpc":"2.0","id":)", id, R"(,"method":")", method, R"("})");
}
std::string Request(absl::string_view id, absl::string_view method, absl::string_view params) {
  return absl::StrCat(R"({"jsonrpc":"2.0","id":)", id, R"(,"method":")", method, R"(","params":)", params, "}");
}
std::string Notification(absl::string_view method, absl::string_view params = "{}") {
  return absl::StrCat(R"({"jsonrpc":"2.0","method":")", method, R"(","params":)", params, "}");
}
std::string Answer(absl::string_view id, absl::string_view result = R"({"ok":1})") {
  return absl::StrCat(R"({"result":)", result, R"(,"jsonrpc":"2.0","id":)", id, "}");
}
std::string Failure(absl::string_view id) {
  return absl::StrCat(R"({"jsonrpc":"2.0","id":)", id, R"(,"error":{"code":-1,"message":"no"}})");
}
std::string ErrorFor(absl::string_view id, int code) {
  return absl::StrCat(R"(client {"jsonrpc":"2.0","id":)", id, R"(,"error":{"code":)", code);
}
std::string ToClient(absl::string_view text) { return absl::StrCat("client ", text); }
std::string ToServer(int process, absl::string_view text) { return absl::StrCat("server ", process, " ", text); }
constexpr absl::string_view kToolsChanged = R"(client {"jsonrpc":"2.0","method":"notifications/tools/list_changed"})";

class RouterTest : public ::testing::Test {
 protected:
  RouterTest() : router_(RouterOptions(), output_) { router_.StartFirst(1); }

  void Client(absl::string_view text) { router_.FromClient(absl::StrCat(text, "\n")); }
  void Server(ProcessId process, absl::string_view text) { router_.FromServer(process, absl::StrCat(text, "\n")); }
  std::vector<std::string> Calls() { return output_.TakeCalls(); }
  std::vector<std::string> Logs() { return output_.TakeLogs(); }

  void Handshake() {
    Client(kInitialize);
    Server(1, Answer("0", kResult));
    Client(kInitialized);
    Calls();
  }
  void Rotate(ProcessId process, int replay) {
    router_.StartReplacement(process);
    Server(process, Answer(ReplayId(replay), kResult));
  }
  static std::string ReplayId(int n) { return absl::StrCat("\"keyferry-replay-", n, "\""); }

  RecordingOutput output_;
  Router router_;
};

TEST_F(RouterTest, LinesPassByteForByte) {
  router_.FromClient(absl::StrCat(" ", kInitialize, "\t\r\n"));
  EXPECT_THAT(Calls(), ElementsAre(absl::StrCat("server 1  ", kInitialize, "\t\r")));
  router_.FromServer(1, Answer("0", kResult));
  EXPECT_THAT(Calls(), ElementsAre(ToClient(Answer("0", kResult))));
}

TEST_F(RouterTest, RotationOverlaps) {
  Handshake();
  Client(Request("1"));
  Calls();
  router_.StartReplacement(2);
  EXPECT_THAT(Calls(), ElementsAre(kReplayedInitialize));
  Client(Request("2"));
  EXPECT_THAT(Calls(), ElementsAre(ToServer(1, Request("2"))));
  Server(2, Answer(ReplayId(1), kResult));
  EXPECT_THAT(Calls(), ElementsAre(ToServer(2, kInitialized), "ready 2", kToolsChanged));
  EXPECT_TRUE(router_.Draining(1));
  EXPECT_EQ(router_.Outstanding(1), 2u);
  EXPECT_EQ(router_.current(), 2u);
  Client(Request("3"));
  Server(1, Answer("2"));
  Server(2, Answer("3"));
  EXPECT_THAT(Calls(), ElementsAre(ToServer(2, Request("3")), ToClient(Answer("2")), ToClient(Answer("3"))));
  Server(1, Answer("1"));
  EXPECT_THAT(Calls(), ElementsAre(ToClient(Answer("1")), "close 1"));
  EXPECT_FALSE(router_.Draining(1));
  router_.ServerExited(1);
  EXPECT_THAT(Calls(), IsEmpty());
}

TEST_F(RouterTest, AnIdleProcessIsClosedAtOnce) {
  Handshake();
  Rotate(2, 1);
  EXPECT_THAT(Calls(),
              ElementsAre(kReplayedInitialize, ToServer(2, kInitialized), "ready 2", kToolsChanged, "close 1"));
}

TEST_F(RouterTest, BeforeTheHandshakeThereIsNothingToReplay) {
  router_.StartReplacement(2);
  EXPECT_THAT(Calls(), ElementsAre("ready 2", "close 1"));
  Client(kInitialize);
  EXPECT_THAT(Calls(), ElementsAre(ToServer(2, kInitialize)));
}

TEST_F(RouterTest, AReplacementWaitsForTheClientsInitialize) {
  Client(kInitialize);
  Calls();
  router_.StartReplacement(2);
  Client(Request("1", "ping"));
  EXPECT_THAT(Calls(), ElementsAre(ToServer(1, Request("1", "ping"))));
  Server(1, Answer("0", kResult));
  EXPECT_THAT(Calls(), ElementsAre(ToClient(Answer("0", kResult)), kReplayedInitialize));
  Server(2, Answer(ReplayId(1), kResult));
  EXPECT_THAT(Calls(), ElementsAre("ready 2"));
  Client(kInitialized);
  EXPECT_THAT(Calls(), ElementsAre(ToServer(1, kInitialized), ToServer(2, kInitialized)));
}

TEST_F(RouterTest, InitializedDuringTheReplayReachesBoth) {
  Client(kInitialize);
  Server(1, Answer("0", kResult));
  router_.StartReplacement(2);
  Client(kInitialized);
  Calls();
  Server(2, Answer(ReplayId(1), kResult));
  EXPECT_THAT(Calls(), ElementsAre(ToServer(2, kInitialized), "ready 2", kToolsChanged, "close 1"));
}

TEST_F(RouterTest, AClientThatDoesNotWaitForItsHandshakeIsReplayedToo) {
  Client(kInitialize);
  Client(kInitialized);
  Client(Request("1"));
  router_.StartReplacement(2);
  Calls();
  Server(1, Answer("0", kResult));
  Server(2, Answer(ReplayId(1), kResult));
  EXPECT_THAT(Calls(), ElementsAre(ToClient(Answer("0", kResult)), kReplayedInitialize, ToServer(2, kInitialized),
                                   "ready 2", kToolsChanged));
}

TEST_F(RouterTest, AnInitializeThatDiesWithItsProcessMovesToTheReplacement) {
  Client(kInitialize);
  router_.StartReplacement(2);
  Calls();
  router_.ServerExited(1);
  EXPECT_THAT(Calls(), ElementsAre("ready 2", ToServer(2, kInitialize)));
  Server(2, Answer("0", kResult));
  EXPECT_THAT(Calls(), ElementsAre(ToClient(Answer("0", kResult))));
}

TEST_F(RouterTest, AnInitializedThatCameTooEarlyMovesWithIt) {
  Client(kInitialize);
  Client(kInitialized);
  Client(Request("1"));
  router_.StartReplacement(2);
  Calls();
  router_.ServerExited(1);
  EXPECT_THAT(Calls(), ElementsAre(StartsWith(ErrorFor("1", -32000)), "ready 2", ToServer(2, kInitialize),
                                   ToServer(2, kInitialized)));
}

TEST_F(RouterTest, AFailedInitializeLeavesNothingToReplay) {
  Client(kInitialize);
  router_.StartReplacement(2);
  Calls();
  Server(1, Failure("0"));
  EXPECT_THAT(Calls(), ElementsAre(ToClient(Failure("0")), "ready 2", "close 1"));
}

TEST_F(RouterTest, AReplacementThatDoesNotFitIsDiscarded) {
  const struct {
    const char* name;
    std::string answer;
    const char* log;
  } kCases[] = {
      {"error", Failure(ReplayId(1)), "with an error"},
      {"no result", Answer(ReplayId(1), "{}"), "not an InitializeResult"},
      {"other protocol version",
       Answer(
           ReplayId(1),
           R"({"protocolVersion":"2024-11-05","capabilities":{"tools":{"listChanged":true},"resources":{"subscribe":true}},"serverInfo":{"name":"s"}})"),
       "another protocol version"},
      {"lost capability",
       Answer(
           ReplayId(1),
           R"({"protocolVersion":"2025-06-18","capabilities":{"tools":{"listChanged":false},"secret!":{}},"serverInfo":{"name":"s"}})"),
       "told of: resources, resources.subscribe, tools.listChanged"},
  };
  for (const auto& test : kCases) {
    SCOPED_TRACE(test.name);
    RecordingOutput output;
    Router router(RouterOptions(), output);
    router.StartFirst(1);
    router.FromClient(kInitialize);
    router.FromServer(1, Answer("0", kResult));
    router.FromClient(kInitialized);
    router.StartReplacement(2);
    output.TakeCalls();
    router.FromServer(2, test.answer);
    EXPECT_THAT(output.TakeCalls(), ElementsAre("discard 2"));
    EXPECT_THAT(output.TakeLogs(), ElementsAre(HasSubstr(test.log)));
    router.FromServer(2, Notification("notifications/message"));
    router.FromClient(Request("5"));
    EXPECT_THAT(output.TakeCalls(), ElementsAre(ToServer(1, Request("5"))));
  }
}

TEST_F(RouterTest, WithoutAnotherADifferentReplacementIsTaken) {
  Handshake();
  router_.StartReplacement(2);
  router_.ServerExited(1);
  Calls();
  Client(Request("1"));
  EXPECT_THAT(Calls(), IsEmpty());
  Server(2, Answer(ReplayId(1), R"({"protocolVersion":"2024-11-05","capabilities":{"logging":{}}})"));
  EXPECT_THAT(Calls(), ElementsAre(ToServer(2, kInitialized), "ready 2", ToServer(2, Request("1")), kToolsChanged));
  EXPECT_THAT(Logs(), Contains(HasSubstr("although it speaks another protocol version")));
}

TEST_F(RouterTest, InitializeTimeout) {
  Handshake();
  router_.StartReplacement(2);
  router_.InitializeTimeout(1);
  Calls();
  router_.InitializeTimeout(2);
  EXPECT_THAT(Calls(), ElementsAre("discard 2"));
  router_.ServerExited(2);
  Rotate(3, 2);
  EXPECT_EQ(router_.current(), 3u);
}

TEST_F(RouterTest, ANewerReplacementSupersedes) {
  Handshake();
  router_.StartReplacement(2);
  Calls();
  router_.StartReplacement(3);
  EXPECT_THAT(Calls(), ElementsAre("discard 2", StartsWith("server 3 ")));
}

TEST_F(RouterTest, SerialHoldsUntilTheReplacementIsReady) {
  Handshake();
  Client(Request("1"));
  Calls();
  router_.BeginSerial();
  EXPECT_TRUE(router_.Draining(1));
  Client(Request("2"));
  Client(Notification("notifications/custom"));
  Client(Request("3"));
  Client(Notification("notifications/cancelled", R"({"requestId":3})"));
  EXPECT_GT(router_.held_bytes(), 0u);
  EXPECT_THAT(Calls(), IsEmpty());
  Server(1, Answer("1"));
  EXPECT_THAT(Calls(), ElementsAre(ToClient(Answer("1")), "close 1"));
  router_.ServerExited(1);
  router_.StartReplacement(2);
  Calls();
  Server(2, Answer(ReplayId(1), kResult));
  EXPECT_THAT(Calls(), ElementsAre(ToServer(2, kInitialized), "ready 2", ToServer(2, Request("2")),
                                   ToServer(2, Notification("notifications/custom")), kToolsChanged));
  EXPECT_EQ(router_.held_bytes(), 0u);
}

TEST_F(RouterTest, SerialWhoseReplacementFailsAnswersWhatWasHeld) {
  Handshake();
  router_.BeginSerial();
  Client(Request("2"));
  router_.ServerExited(1);
  router_.StartReplacement(2);
  Calls();
  router_.ServerExited(2);
  EXPECT_THAT(Calls(), ElementsAre(StartsWith(ErrorFor("2", -32000))));
  Client(Request("4"));
  EXPECT_THAT(Calls(), ElementsAre(StartsWith(ErrorFor("4", -32000))));
  router_.StartReplacement(3);
  Client(Request("5"));
  Calls();
  Server(3, Answer(ReplayId(2), kResult));
  EXPECT_THAT(Calls(), Contains(ToServer(3, Request("5"))));
}

TEST_F(RouterTest, PingIsAnsweredWhileOthersAreHeld) {
  Handshake();
  Client(Request("1"));
  router_.BeginSerial();
  Calls();
  Client(Request("2", "ping"));
  EXPECT_THAT(Calls(), ElementsAre(ToServer(1, Request("2", "ping"))));
  Server(1, Answer("1"));
  Server(1, Answer("2", "{}"));
  Calls();
  Client(Request("3", "ping"));
  EXPECT_THAT(Calls(), ElementsAre(R"(client {"jsonrpc":"2.0","id":3,"result":{}})"));
}

TEST_F(RouterTest, TooMuchHeldIsAnsweredWithAnError) {
  RouterOptions options;
  options.max_held_bytes = 90;
  Router router(options, output_);
  router.StartFirst(1);
  router.BeginSerial();
  Calls();
  router.FromClient(Request("1"));
  router.FromClient(Request("2"));
  router.FromClient(Notification("notifications/custom", R"({"long":"aaaaaaaaaaaaaaaaaaaaaaaa"})"));
  EXPECT_THAT(Calls(), ElementsAre(StartsWith(ErrorFor("2", -32002))));
}

TEST_F(RouterTest, ACrashAnswersWhatIsOpen) {
  Handshake();
  Client(Request("\"a\""));
  Client(Request("2"));
  Client(Notification("notifications/cancelled", R"({"requestId":2})"));
  Calls();
  router_.ServerExited(1);
  EXPECT_THAT(Calls(), ElementsAre(StartsWith(ErrorFor("\"a\"", -32000))));
  Client(Request("3"));
  EXPECT_THAT(Calls(), ElementsAre(StartsWith(ErrorFor("3", -32000))));
}

TEST_F(RouterTest, DrainTimeoutAnswersWhatIsOpen) {
  Handshake();
  Client(Request("1"));
  Server(1, Request("9", "sampling/createMessage"));
  router_.DrainTimeout(1);
  Rotate(2, 1);
  Calls();
  router_.DrainTimeout(2);
  EXPECT_THAT(Calls(), IsEmpty());
  router_.DrainTimeout(1);
  EXPECT_THAT(
      Calls(),
      ElementsAre(
          StartsWith(ErrorFor("1", -32001)),
          StartsWith(R"(server 1 {"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,)"),
          StartsWith(R"(client {"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,)"),
          "close 1"));
  Server(1, Answer("1"));
  Client(Answer("1"));
  EXPECT_THAT(Calls(), IsEmpty());
  EXPECT_THAT(Logs(),
              ElementsAre(HasSubstr("took too long"), HasSubstr("does not have"), HasSubstr("no process waits")));
}

TEST_F(RouterTest, RequestsOfServersGetIdsOfTheirOwn) {
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

TEST_F(RouterTest, AnOldProcessIsKeptForTheAnswersThatItWaitsFor) {
  Handshake();
  Server(1, Request("5", "elicitation/create"));
  Rotate(2, 1);
  EXPECT_TRUE(router_.Draining(1));
  Calls();
  Client(Answer("1"));
  EXPECT_THAT(Calls(), ElementsAre(ToServer(1, Answer("5")), "close 1"));
}

TEST_F(RouterTest, AnAnswerWhoseOwnerIsGoneIsDropped) {
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

TEST_F(RouterTest, CancellationFollowsItsRequest) {
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

TEST_F(RouterTest, AnswersNobodyAskedForAreDropped) {
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

TEST_F(RouterTest, SessionStateIsReplayed) {
  Handshake();
  Client(Request("1", "logging/setLevel", R"({"level":"info"})"));
  Server(1, Answer("1"));
  Client(Request("2", "resources/subscribe", R"({"uri":"a:\u0031"})"));
  Server(1, Answer("2"));
  Client(Request("3", "resources/subscribe", R"({"uri":"b:","_meta":{"progressToken":3}})"));
  Client(Request("4", "resources/subscribe", R"({"uri":"c:"})"));
  Server(1, Failure("4"));
  Client(Request("5", "logging/setLevel", R"({"level":"loud"})"));
  Server(1, Failure("5"));
  Client(Request("6", "resources/unsubscribe", R"({"uri":"a:1"})"));
  Client(Request("7", "resources/subscribe", R"({"uri":"d:"})"));
  Server(1, Answer("7"));
  Client(Request("8", "resources/unsubscribe", R"({"uri":"d:"})"));
  Server(1, Failure("8"));
  router_.StartReplacement(2);
  Calls();
  Server(2, Answer(ReplayId(1), kResult));
  EXPECT_THAT(Calls(), ElementsAre(ToServer(2, kInitialized),
                                   ToServer(2, Request(ReplayId(2), "logging/setLevel", R"({"level":"info"})")),
                                   ToServer(2, Request(ReplayId(3), "resources/subscribe", R"({"uri":"b:"})")),
                                   ToServer(2, Request(ReplayId(4), "resources/subscribe", R"({"uri":"d:"})")),
                                   "ready 2", kToolsChanged));
  Server(2, Answer(ReplayId(2)));
  Server(2, Failure(ReplayId(3)));
  Server(2, Answer(ReplayId(4)));
  EXPECT_THAT(Calls(), IsEmpty());
  EXPECT_THAT(Logs(), ElementsAre(HasSubstr("refused")));
}

TEST_F(RouterTest, WhatAReplacementSaysEarlyWaits) {
  Handshake();
  router_.StartReplacement(2);
  Calls();
  Server(2, Request("1", "ping"));
  EXPECT_THAT(Calls(), ElementsAre(R"(server 2 {"jsonrpc":"2.0","id":1,"result":{}})"));
  Server(2, Notification("notifications/message"));
  Server(2, Request("2", "roots/list"));
  Server(2, Answer("1"));
  Server(2, "starting up");
  EXPECT_THAT(Calls(), IsEmpty());
  Server(2, Answer(ReplayId(1), kResult));
  EXPECT_THAT(Calls(),
              ElementsAre(ToServer(2, kInitialized), "ready 2", ToClient(Notification("notifications/message")),
                          ToClient(Request("1", "roots/list")), kToolsChanged, "close 1"));
}

TEST_F(RouterTest, NotificationsOfADrainingProcessPass) {
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

TEST_F(RouterTest, RootsChangedReachesAllWhoAreReady) {
  Handshake();
  Client(Request("1"));
  Rotate(2, 1);
  router_.StartReplacement(3);
  Calls();
  const std::string changed = Notification("notifications/roots/list_changed");
  Client(changed);
  EXPECT_THAT(Calls(), ElementsAre(ToServer(1, changed), ToServer(2, changed)));
}

TEST_F(RouterTest, GarbageIsCountedAndNotPassedOn) {
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

TEST_F(RouterTest, ReservedIdsAreRefused) {
  Handshake();
  Client(Request(R"("keyf\u0065rry-replay-1")"));
  EXPECT_THAT(Calls(), ElementsAre(StartsWith(ErrorFor(R"("keyf\u0065rry-replay-1")", -32600))));
}

TEST_F(RouterTest, ABatchToOneProcessStaysWhole) {
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

TEST_F(RouterTest, ABatchIsDividedByDestination) {
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

TEST_F(RouterTest, TheEndOfTheClientEndsAll) {
  Handshake();
  Client(Request("1"));
  Rotate(2, 1);
  router_.StartReplacement(3);
  Calls();
  router_.ClientClosed();
  EXPECT_THAT(Calls(), ElementsAre("discard 3", "close 1", "close 2"));
  Server(1, Answer("1"));
  Server(2, Request("4", "roots/list"));
  EXPECT_THAT(Calls(), ElementsAre(ToClient(Answer("1"))));
}

TEST_F(RouterTest, WhatIsHeldAtTheEndOfTheClientIsStillDelivered) {
  Handshake();
  router_.BeginSerial();
  Client(Request("1"));
  router_.ClientClosed();
  router_.ServerExited(1);
  router_.StartReplacement(2);
  Calls();
  Server(2, Answer(ReplayId(1), kResult));
  EXPECT_THAT(Calls(),
              ElementsAre(ToServer(2, kInitialized), "ready 2", ToServer(2, Request("1")), kToolsChanged, "close 2"));
  Server(2, Answer("1"));
  EXPECT_THAT(Calls(), ElementsAre(ToClient(Answer("1"))));
}

TEST_F(RouterTest, AParseErrorWithoutIdPassesUnlessItMayBeAboutAReplay) {
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
