#include "server/http/https_listener.h"

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "server/http/answer.h"
#include "server/http/testing_client.h"
#include "server/http/testing_tls.h"

namespace keyferry::server {
namespace {

using Respond = std::function<void(HttpResponse)>;

HttpResponse Ok(const std::string& body) {
  HttpResponse answer = PlainAnswer(200);
  answer.body = body;
  return answer;
}

class HttpsListenerTest : public ::testing::Test {
 protected:
  HttpsListenerTest() : identity_(ca_.Issue()) { options_.public_url = "https://keyferry.test:8443"; }

  void Start(HttpHandler handler) {
    auto listener = HttpsListener::Start(options_, identity_.certificate, Key(identity_), std::move(handler));
    ASSERT_TRUE(listener.ok()) << listener.status();
    listener_ = *std::move(listener);
  }
  // Answers with the method, target and body of the request.
  void StartEcho() {
    Start([](ReceivedRequest request, Respond respond) {
      respond(Ok(absl::StrCat(request.request.method, " ", request.request.url, " ", request.request.body)));
    });
  }

  static storage::SecretBytes Key(const TestIdentity& identity) { return storage::SecretBytes::CopyOf(identity.key); }

  std::unique_ptr<RawPeer> Connect() { return RawPeer::Connect(listener_->port(), ca_); }
  // What a connection of its own gets to see until the listener closes it.
  std::string Say(const std::string& bytes) {
    const auto peer = Connect();
    EXPECT_TRUE(peer->connected());
    peer->Write(bytes);
    return peer->ReadToEnd();
  }
  static std::string Get(const std::string& target, const std::string& headers = "") {
    return absl::StrCat("GET ", target, " HTTP/1.1\r\nHost: keyferry.test:8443\r\n", headers, "\r\n");
  }
  static std::string StatusOf(const std::string& answer) { return answer.substr(0, answer.find("\r\n")); }
  static std::string BodyOf(const std::string& answer) {
    const size_t end = answer.find("\r\n\r\n");
    return end == std::string::npos ? "" : answer.substr(end + 4);
  }

  TestCa ca_;
  TestIdentity identity_;
  HttpsListener::Options options_;
  std::unique_ptr<HttpsListener> listener_;
};

TEST_F(HttpsListenerTest, AnswersOneRequestAfterTheOther) {
  StartEcho();
  EXPECT_EQ(listener_->public_url(), "https://keyferry.test:8443");
  const auto peer = Connect();
  peer->Write(Get("/a?b=c"));
  EXPECT_EQ(BodyOf(peer->ReadMessage()), "GET /a?b=c ");
  // Two at once are answered in their order.
  peer->Write("POST /p HTTP/1.1\r\nHost: KEYFERRY.test:8443\r\nContent-Length: 3\r\n\r\nabc" + Get("/second"));
  EXPECT_EQ(BodyOf(peer->ReadMessage()), "POST /p abc");
  EXPECT_EQ(BodyOf(peer->ReadMessage()), "GET /second ");
  peer->Write(
      "POST /c HTTP/1.1\r\nHost: keyferry.test:8443\r\nTransfer-Encoding: "
      "chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n");
  EXPECT_EQ(BodyOf(peer->ReadMessage()), "POST /c abc");
  peer->Write("POST /e HTTP/1.1\r\nHost: keyferry.test:8443\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
  EXPECT_EQ(peer->ReadUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  peer->Write("x");
  EXPECT_EQ(BodyOf(peer->ReadMessage()), "POST /e x");
  peer->Write("HEAD /h HTTP/1.1\r\nHost: keyferry.test:8443\r\n\r\n");
  const std::string head = peer->ReadUntil("\r\n\r\n");
  EXPECT_TRUE(absl::StrContains(head, "Content-Length: 8\r\n")) << head;
  peer->Write(Get("/last", "Connection: close\r\n"));
  const std::string last = peer->ReadToEnd();
  EXPECT_EQ(BodyOf(last), "GET /last ");
  EXPECT_TRUE(absl::StrContains(last, "Connection: close\r\n"));
}

TEST_F(HttpsListenerTest, EveryRefusalHasItsStatusAndTheHeadersOfSecurity) {
  StartEcho();
  const std::string post = "POST / HTTP/1.1\r\nHost: keyferry.test:8443\r\n";
  struct Case {
    std::string name;
    std::string bytes;
    std::string status;
  };
  for (const Case& c : std::vector<Case>{
           {"no HTTP", "abc\r\n\r\n", "400 Bad Request"},
           {"TLS within TLS", std::string("\x16\x03\x01\x02\x00\x01\x00\x01", 8), "400 Bad Request"},
           {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400 Bad Request"},
           {"HTTP/0.9", "GET /\r\n\r\n", "400 Bad Request"},
           {"no host", "GET / HTTP/1.1\r\n\r\n", "400 Bad Request"},
           {"HTTP/1.0 without a host", "GET / HTTP/1.0\r\n\r\n", "400 Bad Request"},
           {"empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "400 Bad Request"},
           {"two hosts", Get("/", "Host: keyferry.test:8443\r\n"), "400 Bad Request"},
           {"two hosts in one", "GET / HTTP/1.1\r\nHost: keyferry.test:8443, evil.test\r\n\r\n", "400 Bad Request"},
           {"other host", "GET / HTTP/1.1\r\nHost: evil.test:8443\r\n\r\n", "421 Misdirected Request"},
           {"other port", "GET / HTTP/1.1\r\nHost: keyferry.test\r\n\r\n", "421 Misdirected Request"},
           {"address", "GET / HTTP/1.1\r\nHost: 127.0.0.1:8443\r\n\r\n", "421 Misdirected Request"},
           {"absolute form", Get("https://keyferry.test:8443/"), "400 Bad Request"},
           {"asterisk form", "OPTIONS * HTTP/1.1\r\nHost: keyferry.test:8443\r\n\r\n", "400 Bad Request"},
           {"CONNECT", "CONNECT keyferry.test:8443 HTTP/1.1\r\nHost: keyferry.test:8443\r\n\r\n", "400 Bad Request"},
           {"method", "DELETE / HTTP/1.1\r\nHost: keyferry.test:8443\r\n\r\n", "405 Method Not Allowed"},
           {"TRACE", "TRACE / HTTP/1.1\r\nHost: keyferry.test:8443\r\n\r\n", "405 Method Not Allowed"},
           {"unknown method", "BREW / HTTP/1.1\r\nHost: keyferry.test:8443\r\n\r\n", "405 Method Not Allowed"},
           {"space before the colon", Get("/", "X : y\r\n"), "400 Bad Request"},
           {"null in a header", Get("/", std::string("X: a\0b\r\n", 8)), "400 Bad Request"},
           {"space in the target", Get("/a b"), "400 Bad Request"},
           {"two framings", post + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "400 Bad Request"},
           {"two lengths", post + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", "400 Bad Request"},
           {"two equal lengths", post + "Content-Length: 1\r\nContent-Length: 1\r\n\r\na", "400 Bad Request"},
           {"negative length", post + "Content-Length: -1\r\n\r\n", "400 Bad Request"},
           {"length with a sign", post + "Content-Length: +1\r\n\r\na", "400 Bad Request"},
           {"other coding", post + "Transfer-Encoding: gzip\r\n\r\n", "400 Bad Request"},
           {"two codings", post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "400 Bad Request"},
           {"chunk of no size", post + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", "400 Bad Request"},
           {"chunk longer than its size", post + "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
            "400 Bad Request"},
           {"expectation", post + "Expect: tea\r\nContent-Length: 1\r\n\r\na", "417 Expectation Failed"},
           {"large length", post + "Content-Length: 65537\r\n\r\n", "413 Content Too Large"},
           {"huge length", post + "Content-Length: 18446744073709551615\r\n\r\n", "413 Content Too Large"},
           {"large chunk", post + "Transfer-Encoding: chunked\r\n\r\n10001\r\n", "413 Content Too Large"},
           {"large body that is sent", post + "Content-Length: 200000\r\n\r\n" + std::string(200000, 'x'),
            "413 Content Too Large"},
           {"large header", Get("/", "X: " + std::string(17000, 'x') + "\r\n"), "431 Request Header Fields Too Large"},
           {"large target", Get("/" + std::string(17000, 'x')), "431 Request Header Fields Too Large"},
           {"head that goes on", "GET / HTTP/1.1\r\nX: " + std::string(100000, 'x'),
            "431 Request Header Fields Too Large"},
       }) {
    SCOPED_TRACE(c.name);
    const std::string answer = Say(c.bytes);
    EXPECT_EQ(StatusOf(answer), "HTTP/1.1 " + c.status);
    for (const char* header :
         {"Content-Security-Policy: default-src 'none'; ", "Cache-Control: no-store\r\n", "Connection: close\r\n",
          "Referrer-Policy: no-referrer\r\n", "X-Content-Type-Options: nosniff\r\n", "X-Frame-Options: DENY\r\n",
          "Strict-Transport-Security: max-age="}) {
      EXPECT_TRUE(absl::StrContains(answer, header)) << header;
    }
  }
  EXPECT_TRUE(
      absl::StrContains(Say("PUT / HTTP/1.1\r\nHost: keyferry.test:8443\r\n\r\n"), "Allow: GET, HEAD, POST\r\n"));
}

TEST_F(HttpsListenerTest, TakesWhatJustFits) {
  StartEcho();
  const auto peer = Connect();
  const std::string body(65536, 'x');
  peer->Write(absl::StrCat("POST / HTTP/1.1\r\nHost: keyferry.test:8443\r\nContent-Length: 65536\r\n\r\n", body));
  EXPECT_EQ(BodyOf(peer->ReadMessage()), "POST / " + body);
  peer->Write(Get("/", "X: " + std::string(16000, 'x') + "\r\n"));
  EXPECT_EQ(BodyOf(peer->ReadMessage()), "GET / ");
}

TEST_F(HttpsListenerTest, ASlowPeerIsToldAndClosed) {
  options_.deadlines.handshake = options_.deadlines.idle = absl::Milliseconds(300);
  options_.deadlines.head = options_.deadlines.body = absl::Milliseconds(300);
  StartEcho();
  EXPECT_EQ(StatusOf(Say("GET / HT")), "HTTP/1.1 408 Request Timeout");
  EXPECT_EQ(StatusOf(Say("POST / HTTP/1.1\r\nHost: keyferry.test:8443\r\nContent-Length: 9\r\n\r\nabc")),
            "HTTP/1.1 408 Request Timeout");
  // Nothing was asked.
  EXPECT_EQ(Say(""), "");
  const auto kept = Connect();
  kept->Write(Get("/"));
  EXPECT_EQ(BodyOf(kept->ReadMessage()), "GET / ");
  EXPECT_EQ(kept->ReadToEnd(), "");
  const auto no_tls = RawPeer::Connect(listener_->port(), ca_, /*max_version=*/0);
  EXPECT_EQ(no_tls->ReadToEnd(), "");
}

TEST_F(HttpsListenerTest, ByteAfterByteDoesNotExtendTheTime) {
  options_.deadlines.head = options_.deadlines.body = absl::Milliseconds(300);
  StartEcho();
  for (const std::string& start :
       {std::string("GET / HTTP/1.1\r\nX: "),
        std::string("POST / HTTP/1.1\r\nHost: keyferry.test:8443\r\nContent-Length: 9999\r\n\r\n")}) {
    const auto peer = Connect();
    peer->Write(start);
    int bytes = 0;
    while (bytes < 1000 && !peer->WaitForInput(absl::Milliseconds(20))) {
      if (!peer->Write("x")) break;
      ++bytes;
    }
    EXPECT_LT(bytes, 1000);
    EXPECT_EQ(StatusOf(peer->ReadToEnd()), "HTTP/1.1 408 Request Timeout");
  }
}

TEST_F(HttpsListenerTest, SpeaksOnlyTls12AndLater) {
  StartEcho();
  EXPECT_TRUE(RawPeer::Connect(listener_->port(), ca_, TLS1_2_VERSION)->connected());
  EXPECT_FALSE(RawPeer::Connect(listener_->port(), ca_, TLS1_1_VERSION)->connected());
  const auto plain = RawPeer::Connect(listener_->port(), ca_, /*max_version=*/0);
  plain->Write(Get("/"));
  EXPECT_FALSE(absl::StrContains(plain->ReadToEnd(), "GET"));
  // And goes on with others.
  EXPECT_EQ(BodyOf(Say(Get("/", "Connection: close\r\n"))), "GET / ");
}

TEST_F(HttpsListenerTest, AHandlerAnswersLaterFromAnotherThread) {
  std::thread answering;
  Start([&](ReceivedRequest request, Respond respond) {
    answering = std::thread([peer = request.peer, respond = std::move(respond)] {
      respond(Ok(peer));
      respond(Ok("a second answer, which counts for nothing"));
    });
  });
  const std::string answer = Say(Get("/", "Connection: close\r\n"));
  answering.join();
  EXPECT_TRUE(absl::StartsWith(BodyOf(answer), "127.0.0.1:")) << answer;
  EXPECT_EQ(answer.find("second"), std::string::npos);
}

TEST_F(HttpsListenerTest, IsAnsweredForAHandlerThatDoesNot) {
  options_.deadlines.handler = absl::Milliseconds(100);
  std::vector<Respond> kept;
  Start([&](ReceivedRequest request, Respond respond) {
    if (request.request.url == "/never") kept.push_back(std::move(respond));
    if (request.request.url == "/bad") {
      HttpResponse answer = Ok("split");
      answer.headers.emplace_back("Location", "/x\r\nSet-Cookie: stolen=1");
      respond(std::move(answer));
    }
    if (request.request.url == "/zero") respond(HttpResponse());
  });
  const std::string late = Say(Get("/never"));
  EXPECT_EQ(StatusOf(late), "HTTP/1.1 504 Gateway Timeout");
  EXPECT_TRUE(absl::StrContains(late, "Connection: close\r\n"));
  for (const char* target : {"/dropped", "/bad", "/zero"}) {
    const std::string answer = Say(Get(target, "Connection: close\r\n"));
    EXPECT_EQ(StatusOf(answer), "HTTP/1.1 500 Internal Server Error") << target;
    EXPECT_FALSE(absl::StrContains(answer, "stolen"));
  }
  kept[0](Ok("too late"));
  listener_.reset();
  ASSERT_EQ(kept.size(), 1u);
  kept[0](Ok("much too late"));
}

TEST_F(HttpsListenerTest, AnAnswerAfterTheEndIsDropped) {
  std::vector<Respond> kept;
  absl::Notification called;
  Start([&](ReceivedRequest, Respond respond) {
    kept.push_back(std::move(respond));
    called.Notify();
  });
  const auto peer = Connect();
  peer->Write(Get("/"));
  called.WaitForNotification();
  listener_.reset();
  EXPECT_EQ(peer->ReadToEnd(), "");
  kept[0](Ok("x"));
  kept.clear();
}

TEST_F(HttpsListenerTest, AHandlerSetsItsOwnPolicyAndCookies) {
  Start([](ReceivedRequest request, Respond respond) {
    HttpResponse answer = Ok(request.Cookie("__Host-kf"));
    answer.status = 303;
    answer.headers.emplace_back("Location", "https://provider.test/authorize?state=x");
    answer.headers.emplace_back("Set-Cookie", "__Host-kf=1; Secure; HttpOnly; Path=/; SameSite=Lax");
    answer.headers.emplace_back("Content-Security-Policy", "form-action 'self' https://provider.test");
    respond(std::move(answer));
  });
  const std::string answer = Say(Get("/", "Cookie: other=2; __Host-kf=seen\r\nConnection: close\r\n"));
  EXPECT_EQ(StatusOf(answer), "HTTP/1.1 303 See Other");
  EXPECT_EQ(BodyOf(answer), "seen");
  EXPECT_TRUE(absl::StrContains(answer, "Content-Security-Policy: form-action 'self' https://provider.test\r\n"));
  EXPECT_FALSE(absl::StrContains(answer, "default-src"));
  EXPECT_TRUE(absl::StrContains(answer, "X-Frame-Options: DENY\r\n"));
}

TEST_F(HttpsListenerTest, ConnectionsAreBoundedByAddressAndInAll) {
  for (const bool by_address : {true, false}) {
    options_.max_connections_per_address = by_address ? 2 : 100;
    options_.max_connections = by_address ? 100 : 2;
    StartEcho();
    auto first = Connect();
    const auto second = Connect();
    EXPECT_TRUE(first->connected() && second->connected());
    for (int i = 0; i < 50; ++i) EXPECT_FALSE(Connect()->connected());
    second->Write(Get("/"));
    EXPECT_EQ(BodyOf(second->ReadMessage()), "GET / ");
    // A place that is given back is there for the next one, as soon as the listener has seen it.
    first.reset();
    int attempts = 0;
    while (attempts < 10000 && !Connect()->connected()) ++attempts;
    EXPECT_LT(attempts, 10000);
  }
}

TEST_F(HttpsListenerTest, AConnectionServesSoManyRequests) {
  options_.max_requests_per_connection = 3;
  StartEcho();
  const auto peer = Connect();
  peer->Write(Get("/1") + Get("/2") + Get("/3") + Get("/4"));
  const std::string answers = peer->ReadToEnd();
  EXPECT_TRUE(absl::StrContains(answers, "GET /3 "));
  EXPECT_FALSE(absl::StrContains(answers, "GET /4 "));
  EXPECT_EQ(answers.find("Connection: close"), answers.rfind("Connection: close"));
}

TEST_F(HttpsListenerTest, ANewCertificateIsForNewConnections) {
  StartEcho();
  const auto before = Connect();
  const TestIdentity renewed = ca_.Issue();
  EXPECT_EQ(listener_->SetCertificate("no PEM", Key(renewed)).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(listener_->SetCertificate(renewed.certificate, Key(identity_)).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Connect()->PeerCertificate(), before->PeerCertificate());
  ASSERT_TRUE(listener_->SetCertificate(renewed.certificate, Key(renewed)).ok());
  EXPECT_NE(Connect()->PeerCertificate(), before->PeerCertificate());
  before->Write(Get("/still"));
  EXPECT_EQ(BodyOf(before->ReadMessage()), "GET /still ");
}

TEST_F(HttpsListenerTest, DrainingAnswersWhatHasBegun) {
  std::vector<Respond> kept;
  absl::Notification called;
  Start([&](ReceivedRequest, Respond respond) {
    kept.push_back(std::move(respond));
    called.Notify();
  });
  const auto idle = Connect();
  const auto busy = Connect();
  busy->Write(Get("/"));
  called.WaitForNotification();
  std::thread draining([&] { listener_->Drain(absl::Seconds(600)); });
  // It is closed once draining has begun.
  EXPECT_EQ(idle->ReadToEnd(), "");
  kept[0](Ok("answered"));
  const std::string answer = busy->ReadMessage();
  EXPECT_EQ(BodyOf(answer), "answered");
  EXPECT_TRUE(absl::StrContains(answer, "Connection: close\r\n"));
  EXPECT_EQ(busy->ReadToEnd(), "");
  busy->Close();
  draining.join();
  EXPECT_FALSE(Connect()->connected());
}

TEST_F(HttpsListenerTest, DrainingEndsWithItsGrace) {
  std::vector<Respond> kept;
  absl::Notification called;
  Start([&](ReceivedRequest, Respond respond) {
    kept.push_back(std::move(respond));
    called.Notify();
  });
  const auto busy = Connect();
  busy->Write(Get("/"));
  called.WaitForNotification();
  listener_->Drain(absl::Milliseconds(20));
  EXPECT_EQ(busy->ReadToEnd(), "");
  listener_->Drain(absl::Seconds(1));
}

TEST_F(HttpsListenerTest, ManyConnectionsAtOnce) {
  options_.max_connections_per_address = 400;
  StartEcho();
  std::vector<std::unique_ptr<RawPeer>> peers;
  for (int i = 0; i < 300; ++i) {
    peers.push_back(Connect());
    ASSERT_TRUE(peers.back()->connected()) << i;
    peers.back()->Write(i % 3 == 0 ? "GET / HTTP/1.1\r\nX: unfinished" : Get(absl::StrCat("/", i)));
  }
  for (int i = 0; i < 300; ++i) {
    if (i % 3 == 0) continue;
    EXPECT_EQ(BodyOf(peers[i]->ReadMessage()), absl::StrCat("GET /", i, " "));
  }
  listener_.reset();
  for (const auto& peer : peers) EXPECT_EQ(peer->ReadToEnd(), "");
}

TEST_F(HttpsListenerTest, ServesTheClientOfTheServer) {
  options_.public_url = "";
  StartEcho();
  EXPECT_EQ(listener_->public_url(), absl::StrCat("https://127.0.0.1:", listener_->port()));
  BeastClient::Options options;
  options.ca_bundle = ca_.WriteFile("listener");
  options.guard = *AddressGuard::Create({"127.0.0.1"});
  const auto client = *BeastClient::Create(std::move(options));
  HttpRequest request;
  request.method = "POST";
  request.url = listener_->public_url() + "/x";
  request.body = "hello";
  const auto answer = SendAndWait(*client, std::move(request));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->body, "POST /x hello");
  // HSTS is for names; it would hit whatever else is served on this machine.
  EXPECT_EQ(answer->Header("strict-transport-security"), "");
}

TEST_F(HttpsListenerTest, RefusesToStartWithoutWhatItNeeds) {
  const auto start = [&](const TestIdentity& identity) {
    return HttpsListener::Start(options_, identity.certificate, Key(identity), [](ReceivedRequest, Respond) {})
        .status();
  };
  EXPECT_EQ(start({"", ""}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(start({identity_.certificate, ""}).code(), absl::StatusCode::kInvalidArgument);
  options_.address = "localhost";
  EXPECT_EQ(start(identity_).code(), absl::StatusCode::kInvalidArgument);
  options_.address = "127.0.0.1:0";
  options_.public_url = "http://keyferry.test";
  EXPECT_EQ(start(identity_).code(), absl::StatusCode::kInvalidArgument);
  options_.public_url = "";
  StartEcho();
  options_.address = absl::StrCat("127.0.0.1:", listener_->port());
  EXPECT_EQ(start(identity_).code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace keyferry::server
