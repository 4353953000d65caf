#include "injector/webhook/metrics_listener.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/http/testing_tls.h"

namespace keyferry::injector::webhook {
namespace {

using server::RawPeer;
using server::TestCa;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

class MetricsListenerTest : public testing::Test {
 protected:
  void Start(absl::Duration time = absl::Minutes(10)) {
    auto started = MetricsListener::Start(
        "127.0.0.1:0", [] { return std::string("figure 7\n"); }, time);
    ASSERT_TRUE(started.ok()) << started.status();
    listener_ = *std::move(started);
  }
  std::unique_ptr<RawPeer> Connect() { return RawPeer::Connect(listener_->port(), ca_, /*max_version=*/0); }
  std::string Ask(const std::string& request) {
    const std::unique_ptr<RawPeer> peer = Connect();
    EXPECT_TRUE(peer->Write(request));
    return peer->ReadToEnd();
  }

  const TestCa ca_;
  std::unique_ptr<MetricsListener> listener_;
};

constexpr char kGet[] = "GET /metrics HTTP/1.1\r\nHost: any.example\r\n\r\n";

TEST_F(MetricsListenerTest, AnswersOneRequestAndCloses) {
  Start();
  const std::string answer = Ask(kGet);
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
  EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\nfigure 7\n"));
  EXPECT_THAT(Ask("GET /metrics?x=y HTTP/1.1\r\nHost: x\r\n\r\n"), EndsWith("figure 7\n"));
}

TEST_F(MetricsListenerTest, ThereIsNothingElse) {
  Start();
  for (const char* target : {"/", "/metrics/", "/metrics2", "/mutate", "/healthz"}) {
    EXPECT_THAT(Ask(absl::StrCat("GET ", target, " HTTP/1.1\r\nHost: x\r\n\r\n")), StartsWith("HTTP/1.1 404 "));
  }
  EXPECT_THAT(Ask("DELETE /metrics HTTP/1.1\r\nHost: x\r\n\r\n"), StartsWith("HTTP/1.1 405 "));
}

TEST_F(MetricsListenerTest, WhatCannotBeReadIsRefused) {
  Start();
  EXPECT_THAT(Ask("nonsense\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  // More than it reads: the connection may be gone before the answer is.
  EXPECT_THAT(Ask(absl::StrCat("GET /metrics HTTP/1.1\r\nX: ", std::string(9 << 10, 'x'), "\r\n\r\n")),
              testing::Not(HasSubstr("figure")));
  EXPECT_THAT(Ask("GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx"), testing::Not(HasSubstr("figure")));
}

TEST_F(MetricsListenerTest, WhoeverHoldsConnectionsKeepsNobodyOut) {
  Start();
  std::vector<std::unique_ptr<RawPeer>> held;
  for (size_t i = 0; i < MetricsListener::kConnections; ++i) {
    held.push_back(Connect());
    ASSERT_TRUE(held.back()->Write("GET /metrics HTTP/1.1\r\n"));
  }
  EXPECT_THAT(Ask(kGet), EndsWith("figure 7\n"));
  // The oldest went; the last one can still be answered.
  EXPECT_EQ(held.front()->ReadToEnd(), "");
  ASSERT_TRUE(held.back()->Write("Host: x\r\n\r\n"));
  EXPECT_THAT(held.back()->ReadToEnd(), EndsWith("figure 7\n"));
}

TEST_F(MetricsListenerTest, WhoeverIsSlowIsClosed) {
  Start(absl::Milliseconds(1));
  const std::unique_ptr<RawPeer> peer = Connect();
  EXPECT_EQ(peer->ReadToEnd(), "");
}

TEST_F(MetricsListenerTest, EndsWhileConnectionsAreOpen) {
  Start();
  const std::unique_ptr<RawPeer> peer = Connect();
  ASSERT_TRUE(peer->Write("GET /metrics HTTP/1.1\r\n"));
  listener_ = nullptr;
  EXPECT_EQ(peer->ReadToEnd(), "");
}

TEST_F(MetricsListenerTest, WhatCannotBeListenedOnDoesNotStart) {
  Start();
  const auto source = [] { return std::string(); };
  EXPECT_TRUE(absl::IsInvalidArgument(MetricsListener::Start("9090", source).status()));
  EXPECT_TRUE(
      absl::IsUnavailable(MetricsListener::Start(absl::StrCat("127.0.0.1:", listener_->port()), source).status()));
}

}  // namespace
}  // namespace keyferry::injector::webhook
