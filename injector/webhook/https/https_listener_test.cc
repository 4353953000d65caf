#include "injector/webhook/https/https_listener.h"

#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/http/testing_tls.h"

namespace keyferry::injector::webhook {
namespace {

using server::RawPeer;
using server::TestCa;
using server::TestIdentity;
using testing::HasSubstr;
using testing::StartsWith;

TlsIdentity IdentityOf(const TestIdentity& issued, const std::string& client_ca = "") {
  TlsIdentity identity;
  identity.certificate = issued.certificate;
  identity.key = client::SecretText(issued.key.size());
  issued.key.copy(identity.key.ExposeMutable(), issued.key.size());
  identity.client_ca = client_ca;
  return identity;
}

std::string Post(const std::string& body, const std::string& headers = "") {
  return absl::StrCat("POST /mutate HTTP/1.1\r\nHost: webhook\r\nContent-Length: ", body.size(), "\r\n", headers,
                      "\r\n", body);
}

class HttpsListenerTest : public testing::Test {
 protected:
  void Start(const ListenerLimits& limits = ListenerLimits(), HttpHandler handler = Echo) {
    auto started = HttpsListener::Start("127.0.0.1:0", IdentityOf(ca_.Issue()), limits, std::move(handler));
    ASSERT_TRUE(started.ok()) << started.status();
    listener_ = *std::move(started);
  }

  std::unique_ptr<RawPeer> Connect() { return RawPeer::Connect(listener_->port(), ca_); }

  std::string Ask(const std::string& request) {
    const std::unique_ptr<RawPeer> peer = Connect();
    EXPECT_TRUE(peer->Write(request));
    return peer->ReadMessage();
  }

  static HttpAnswer Echo(const HttpAsked& asked) {
    HttpAnswer answer;
    answer.body = absl::StrCat(asked.method, " ", asked.target, " ", asked.body);
    return answer;
  }

  const TestCa ca_;
  std::unique_ptr<HttpsListener> listener_;
};

TEST_F(HttpsListenerTest, AnswersRequestAfterRequest) {
  Start();
  const std::unique_ptr<RawPeer> peer = Connect();
  ASSERT_TRUE(peer->Write(Post("one") + Post("two")));
  EXPECT_THAT(peer->ReadMessage(), testing::EndsWith("\r\n\r\nPOST /mutate one"));
  EXPECT_THAT(peer->ReadMessage(), testing::EndsWith("\r\n\r\nPOST /mutate two"));
  ASSERT_TRUE(peer->Write("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"));
  EXPECT_THAT(peer->ReadMessage(), testing::EndsWith("POST / abc"));
  ASSERT_TRUE(peer->Write(Post("x", "Connection: close\r\n")));
  EXPECT_THAT(peer->ReadToEnd(), HasSubstr("POST /mutate x"));
}

TEST_F(HttpsListenerTest, TakesBodiesUpToTheLimitOnly) {
  ListenerLimits limits;
  limits.body_bytes = 1000;
  Start(limits);
  EXPECT_THAT(Ask(Post(std::string(1000, 'x'))), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(Ask("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n"), StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(Ask(absl::StrCat("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n",
                               std::string(1001, 'x'), "\r\n0\r\n\r\n")),
              StartsWith("HTTP/1.1 413 "));
  EXPECT_EQ(listener_->turned_away(), 2u);
}

TEST_F(HttpsListenerTest, RefusesWhatCannotBeRead) {
  Start();
  EXPECT_THAT(Ask("nonsense\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(Ask("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"),
              StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(Ask(absl::StrCat("GET / HTTP/1.1\r\nX: ", std::string(17 << 10, 'x'), "\r\n\r\n")),
              StartsWith("HTTP/1.1 431 "));
  EXPECT_EQ(listener_->turned_away(), 3u);
}

TEST_F(HttpsListenerTest, BoundsTheBodiesOfAllRequests) {
  ListenerLimits limits;
  limits.body_bytes = 1000;
  limits.all_body_bytes = 1500;
  absl::Notification entered, leave;
  Start(limits, [&](const HttpAsked& asked) {
    if (asked.body[0] == 'h') {
      entered.Notify();
      leave.WaitForNotification();
    }
    return Echo(asked);
  });
  const std::unique_ptr<RawPeer> holding = Connect();
  ASSERT_TRUE(holding->Write(Post(std::string(1000, 'h'))));
  entered.WaitForNotification();
  EXPECT_THAT(Ask(Post(std::string(1000, 'x'))), StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(Ask(Post(std::string(400, 'x'))), StartsWith("HTTP/1.1 200 "));
  leave.Notify();
  EXPECT_THAT(holding->ReadMessage(), StartsWith("HTTP/1.1 200 "));
  std::string answer;
  do {
    answer = Ask(Post(std::string(1000, 'x')));
  } while (absl::StartsWith(answer, "HTTP/1.1 503 "));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpsListenerTest, AnswersForAHandlerThatThrows) {
  Start(ListenerLimits(), [](const HttpAsked& asked) -> HttpAnswer {
    if (asked.body == "bad") throw std::runtime_error("secret detail");
    return Echo(asked);
  });
  const std::string answer = Ask(Post("bad"));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 500 "));
  EXPECT_THAT(answer, testing::Not(HasSubstr("secret detail")));
  EXPECT_THAT(Ask(Post("good")), StartsWith("HTTP/1.1 200 "));
}

// Whoever opens connections and holds them keeps nobody out: at the limit the one that is unused for longest goes.
TEST_F(HttpsListenerTest, ANewConnectionTakesThePlaceOfTheLongestUnused) {
  ListenerLimits limits;
  limits.connections = 3;
  limits.handshake = limits.head = absl::Minutes(10);
  Start(limits);
  const std::unique_ptr<RawPeer> used = Connect();
  // One that says nothing, and one in the middle of a request.
  const std::unique_ptr<RawPeer> silent = RawPeer::Connect(listener_->port(), ca_, /*max_version=*/0);
  const std::unique_ptr<RawPeer> slow = Connect();
  ASSERT_TRUE(slow->Write("POST / HT"));
  ASSERT_TRUE(used->Write(Post("x")));
  EXPECT_THAT(used->ReadMessage(), StartsWith("HTTP/1.1 200 "));
  std::vector<std::unique_ptr<RawPeer>> newer;
  for (RawPeer* const goes : {silent.get(), slow.get()}) {
    newer.push_back(Connect());
    ASSERT_TRUE(newer.back()->Write(Post("new")));
    EXPECT_THAT(newer.back()->ReadMessage(), StartsWith("HTTP/1.1 200 "));
    ASSERT_TRUE(goes->WaitForInput(absl::Seconds(30))) << "it is not closed";
    EXPECT_EQ(goes->ReadToEnd(), "");
  }
  ASSERT_TRUE(used->Write(Post("x")));
  EXPECT_THAT(used->ReadMessage(), StartsWith("HTTP/1.1 200 "));
}

// As the API server's, which it keeps for its next review.
TEST_F(HttpsListenerTest, AConnectionThatHadAnAnswerOutlivesThoseThatHadNone) {
  ListenerLimits limits;
  limits.connections = 3;
  limits.handshake = limits.head = absl::Minutes(10);
  Start(limits);
  const std::unique_ptr<RawPeer> pooled = Connect();
  ASSERT_TRUE(pooled->Write(Post("x")));
  EXPECT_THAT(pooled->ReadMessage(), StartsWith("HTTP/1.1 200 "));
  std::vector<std::unique_ptr<RawPeer>> holding;
  for (int i = 0; i < 10; ++i) {
    holding.push_back(Connect());
    // Of its health anybody may ask.
    ASSERT_TRUE(holding.back()->Write("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"));
    EXPECT_THAT(holding.back()->ReadMessage(), StartsWith("HTTP/1.1 200 "));
  }
  ASSERT_TRUE(pooled->Write(Post("x")));
  EXPECT_THAT(pooled->ReadMessage(), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpsListenerTest, ANewConnectionIsNotTheFirstToGoWhereAllOthersHadAnswers) {
  ListenerLimits limits;
  limits.connections = 4;
  Start(limits);
  std::vector<std::unique_ptr<RawPeer>> served;
  for (int i = 0; i < 3; ++i) {
    served.push_back(Connect());
    ASSERT_TRUE(served.back()->Write(Post("x")));
    EXPECT_THAT(served.back()->ReadMessage(), StartsWith("HTTP/1.1 200 "));
  }
  const std::unique_ptr<RawPeer> fresh = Connect();
  const std::unique_ptr<RawPeer> fresher = Connect();
  ASSERT_TRUE(served[0]->WaitForInput(absl::Seconds(30))) << "it is not closed";
  EXPECT_EQ(served[0]->ReadToEnd(), "");
  ASSERT_TRUE(fresh->Write(Post("x")));
  EXPECT_THAT(fresh->ReadMessage(), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpsListenerTest, ARequestThatArrivesIsNotUnused) {
  ListenerLimits limits;
  limits.connections = 3;
  limits.body_bytes = limits.all_body_bytes = 1000;
  limits.body = limits.idle = absl::Minutes(10);
  Start(limits);
  const auto ask = [](RawPeer& peer, size_t size) {
    EXPECT_TRUE(peer.Write(Post(std::string(size, 'x'))));
    return peer.ReadMessage();
  };
  const std::unique_ptr<RawPeer> sending = Connect();
  EXPECT_THAT(ask(*sending, 1), StartsWith("HTTP/1.1 200 "));
  const std::unique_ptr<RawPeer> idle = Connect();
  EXPECT_THAT(ask(*idle, 1), StartsWith("HTTP/1.1 200 "));
  const std::string request = Post(std::string(1000, 'y'));
  ASSERT_TRUE(sending->Write(request.substr(0, request.size() - 1)));
  // That its head has been read is seen by the room that is left for others.
  std::unique_ptr<RawPeer> probe = Connect();
  while (absl::StartsWith(ask(*probe, 1), "HTTP/1.1 200 ")) {
  }
  probe.reset();
  while (listener_->connections() != 2) std::this_thread::yield();

  std::vector<std::unique_ptr<RawPeer>> newer;
  for (int i = 0; i < 2; ++i) {
    newer.push_back(Connect());
    ASSERT_TRUE(newer.back()->Write("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    EXPECT_THAT(newer.back()->ReadMessage(), StartsWith("HTTP/1.1 200 "));
  }
  ASSERT_TRUE(idle->WaitForInput(absl::Seconds(30))) << "it is not closed";
  EXPECT_EQ(idle->ReadToEnd(), "");
  ASSERT_TRUE(sending->Write("y"));
  EXPECT_THAT(sending->ReadMessage(), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpsListenerTest, ManyThatHoldConnectionsKeepNobodyOut) {
  ListenerLimits limits;
  limits.connections = 4;
  Start(limits);
  std::vector<std::unique_ptr<RawPeer>> holding;
  for (int i = 0; i < 40; ++i) {
    holding.push_back(RawPeer::Connect(listener_->port(), ca_, /*max_version=*/0));
    EXPECT_LE(listener_->connections(), 4);
  }
  EXPECT_THAT(Ask(Post("x")), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpsListenerTest, WhatIsBeingAnsweredIsNotClosedForAnother) {
  ListenerLimits limits;
  limits.connections = 1;
  absl::Notification entered, leave;
  Start(limits, [&](const HttpAsked& asked) {
    if (asked.body == "hold") {
      entered.Notify();
      leave.WaitForNotification();
    }
    return Echo(asked);
  });
  const std::unique_ptr<RawPeer> holding = Connect();
  ASSERT_TRUE(holding->Write(Post("hold")));
  entered.WaitForNotification();
  EXPECT_FALSE(Connect()->connected());
  leave.Notify();
  EXPECT_THAT(holding->ReadMessage(), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(Ask(Post("x")), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpsListenerTest, ClosesThoseWhoAreSlow) {
  ListenerLimits limits;
  limits.head = absl::Milliseconds(1);
  limits.body = absl::Milliseconds(1);
  limits.idle = absl::Seconds(600);
  Start(limits);
  for (const char* const part : {"POST / HT", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n123"}) {
    const std::unique_ptr<RawPeer> peer = Connect();
    ASSERT_TRUE(peer->Write(part));
    EXPECT_EQ(peer->ReadToEnd(), "") << part;
  }
  ListenerLimits impatient;
  impatient.idle = absl::Milliseconds(1);
  impatient.handshake = absl::Seconds(600);
  Start(impatient);
  EXPECT_EQ(Connect()->ReadToEnd(), "");
  impatient.handshake = absl::Milliseconds(1);
  Start(impatient);
  EXPECT_EQ(RawPeer::Connect(listener_->port(), ca_, /*max_version=*/0)->ReadToEnd(), "");
}

TEST_F(HttpsListenerTest, SpeaksNoOldTls) {
  Start();
  EXPECT_FALSE(RawPeer::Connect(listener_->port(), ca_, TLS1_1_VERSION)->connected());
  EXPECT_TRUE(RawPeer::Connect(listener_->port(), ca_, TLS1_2_VERSION)->connected());
}

TEST_F(HttpsListenerTest, ANewCertificateIsShownFromThenOn) {
  Start();
  const std::unique_ptr<RawPeer> before = Connect();
  const TestIdentity next = ca_.Issue();
  EXPECT_FALSE(listener_->SetIdentity(IdentityOf({next.certificate, ca_.Issue().key})).ok());
  EXPECT_FALSE(listener_->SetIdentity(IdentityOf({"", next.key})).ok());
  EXPECT_FALSE(listener_->SetIdentity(IdentityOf(next, "no CA")).ok());
  EXPECT_EQ(Connect()->PeerCertificate(), before->PeerCertificate());
  ASSERT_TRUE(listener_->SetIdentity(IdentityOf(next)).ok());
  EXPECT_NE(Connect()->PeerCertificate(), before->PeerCertificate());
  ASSERT_TRUE(before->Write(Post("x")));
  EXPECT_THAT(before->ReadMessage(), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpsListenerTest, WithAClientCaStrangersAreOnlyToldOfItsHealth) {
  Start();
  ASSERT_TRUE(listener_->SetIdentity(IdentityOf(ca_.Issue(), ca_.certificate())).ok());
  const std::string refused = Ask(Post("x"));
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(refused, testing::Not(HasSubstr("POST /mutate")));
  for (const char* const target : {"/healthz/../mutate", "/healthz?x", "/mutate?/healthz", "//healthz"}) {
    EXPECT_THAT(Ask(absl::StrCat("GET ", target, " HTTP/1.1\r\nHost: x\r\n\r\n")), StartsWith("HTTP/1.1 403 "))
        << target;
  }
  const std::unique_ptr<RawPeer> stranger = Connect();
  ASSERT_TRUE(stranger->Write("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"));
  EXPECT_THAT(stranger->ReadMessage(), HasSubstr("GET /healthz"));
  ASSERT_TRUE(stranger->Write(Post("x")));
  EXPECT_THAT(stranger->ReadToEnd(), StartsWith("HTTP/1.1 403 "));
}

TEST_F(HttpsListenerTest, DrainsRequestsThatHaveBegun) {
  absl::Notification entered, leave;
  Start(ListenerLimits(), [&](const HttpAsked& asked) {
    entered.Notify();
    leave.WaitForNotification();
    return Echo(asked);
  });
  const std::unique_ptr<RawPeer> idle = Connect();
  const std::unique_ptr<RawPeer> busy = Connect();
  ASSERT_TRUE(busy->Write(Post("x")));
  entered.WaitForNotification();
  std::thread drain([this] { listener_->Drain(absl::Minutes(10)); });
  EXPECT_EQ(idle->ReadToEnd(), "");
  EXPECT_FALSE(Connect()->connected());
  leave.Notify();
  EXPECT_THAT(busy->ReadToEnd(), testing::AllOf(HasSubstr("Connection: close"), HasSubstr("POST /mutate x")));
  busy->Close();
  drain.join();
  EXPECT_EQ(listener_->connections(), 0);
}

TEST(HttpsListenerAddressTest, IsChecked) {
  const TestCa ca;
  for (const char* const address : {"", "8443", "localhost:8443", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:65536"}) {
    EXPECT_FALSE(HttpsListener::Start(address, IdentityOf(ca.Issue()), ListenerLimits(), nullptr).ok()) << address;
  }
}

}  // namespace
}  // namespace keyferry::injector::webhook
