// How processes come and go.
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

TEST_F(RouterTest, AReplacementThatAsksWithoutEndIsNotAnsweredWithoutEnd) {
  Handshake();
  router_.StartReplacement(2);
  Calls();
  size_t bytes = 0;
  for (int i = 0; i < 20000; ++i) {
    Server(2, Request("1", "ping"));
    for (const std::string& call : Calls()) bytes += call.size();
  }
  EXPECT_GT(bytes, 100000u);
  EXPECT_LT(bytes, 600000u);
  // Once it is ready it is a server like any other.
  Server(2, Answer(ReplayId(1), kResult));
  Calls();
  Server(2, Request("1", "ping"));
  EXPECT_EQ(Calls().size(), 1u);
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

}  // namespace
}  // namespace keyferry::injector::mcp
