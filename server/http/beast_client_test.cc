#include "server/http/beast_client.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/http/testing_client.h"
#include "server/http/testing_tls.h"

namespace keyferry::server {
namespace {

using Code = absl::StatusCode;

class BeastClientTest : public ::testing::Test {
 protected:
  BeastClientTest() : identity_(ca_.Issue()) {
    options_.ca_bundle = ca_.WriteFile("ca");
    options_.guard = *AddressGuard::Create({"127.0.0.1", "127.0.0.2"});
    auto resolver = std::make_unique<FakeResolver>();
    resolver_ = resolver.get();
    options_.resolver = std::move(resolver);
  }

  void Start() {
    auto client = BeastClient::Create(std::move(options_));
    ASSERT_TRUE(client.ok()) << client.status();
    client_ = *std::move(client);
  }

  // Sends to a server that answers each connection with `bytes`, once it has read a request's head.
  absl::StatusOr<HttpResponse> Answered(const std::string& bytes, const std::string& method = "GET") {
    RawServer server(identity_, [&bytes](RawPeer& peer) {
      peer.ReadMessage();
      peer.Write(bytes);
      peer.Close();
      peer.ReadToEnd();
    });
    HttpRequest request = Get(absl::StrCat("https://127.0.0.1:", server.port(), "/secret-path?secret=query"));
    request.method = method;
    auto outcome = SendAndWait(*client_, std::move(request));
    if (!outcome.ok()) ExpectDiscreet(outcome.status());
    EXPECT_EQ(server.accepted(), 1);
    return outcome;
  }

  static void ExpectDiscreet(const absl::Status& status) {
    EXPECT_FALSE(absl::StrContains(status.message(), "secret")) << status;
  }

  TestCa ca_;
  TestIdentity identity_;
  BeastClient::Options options_;
  FakeResolver* resolver_;
  std::unique_ptr<BeastClient> client_;
};

TEST_F(BeastClientTest, SendsExactlyWhatIsAskedFor) {
  Start();
  std::string received;
  RawServer server(identity_, [&](RawPeer& peer) {
    received = peer.ReadMessage();
    peer.Write("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-A: 1\r\nContent-Length: 2\r\n\r\n{}");
    peer.Close();
    peer.ReadToEnd();
  });
  HttpRequest request;
  request.method = "POST";
  request.url = absl::StrCat("https://127.0.0.1:", server.port(), "/token?a=b%20c");
  request.headers = {{"Content-Type", "application/x-www-form-urlencoded"}, {"Authorization", "Basic eA=="}};
  request.body = "grant_type=refresh_token";
  const auto answer = SendAndWait(*client_, std::move(request));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->Header("content-type"), "application/json");
  EXPECT_EQ(answer->Header("X-a"), "1");
  EXPECT_EQ(answer->Header("x-b"), "");
  EXPECT_EQ(answer->body, "{}");
  EXPECT_EQ(received, absl::StrCat("POST /token?a=b%20c HTTP/1.1\r\nHost: 127.0.0.1:", server.port(),
                                   "\r\nUser-Agent: Keyferry\r\nAccept-Encoding: identity\r\nConnection: close\r\n"
                                   "Content-Type: application/x-www-form-urlencoded\r\nAuthorization: Basic eA==\r\n"
                                   "Content-Length: 24\r\n\r\ngrant_type=refresh_token"));
}

TEST_F(BeastClientTest, ReadsEveryFormOfAnswer) {
  Start();
  struct Case {
    std::string name;
    std::string bytes;
    int status;
    std::string body;
    std::string method = "GET";
  };
  for (const Case& c : std::vector<Case>{
           {"length", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 200, "abc"},
           {"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n", 200,
            "abc"},
           {"until the end of TLS", "HTTP/1.1 200 OK\r\n\r\nabc", 200, "abc"},
           {"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", 200, "abc"},
           {"no body", "HTTP/1.1 204 No Content\r\n\r\n", 204, ""},
           {"empty body", "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", 400, ""},
           {"error with a body", "HTTP/1.1 503 Busy\r\nRetry-After: 9\r\nContent-Length: 1\r\n\r\nx", 503, "x"},
           {"interim answers",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n"
            "Content-Length: 1\r\n\r\nx",
            200, "x"},
           {"to HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", 200, "", "HEAD"},
           {"identity coding", "HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\nContent-Length: 1\r\n\r\nx", 200, "x"},
           // A redirect is an answer like any other: Answered() checks that nothing else was connected to.
           {"redirect", "HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1/\r\nContent-Length: 0\r\n\r\n", 302, ""},
           {"permanent redirect", "HTTP/1.1 308 P\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n", 308, ""},
           {"as large as allowed",
            absl::StrCat("HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n", std::string(1048576, 'x')), 200,
            std::string(1048576, 'x')},
       }) {
    SCOPED_TRACE(c.name);
    const auto answer = Answered(c.bytes, c.method);
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->status, c.status);
    EXPECT_TRUE(answer->body == c.body);
  }
}

TEST_F(BeastClientTest, RefusesAnswersThatAreBrokenOrTooLarge) {
  Start();
  struct Case {
    std::string name;
    std::string bytes;
    Code code;
  };
  const std::string interim = "HTTP/1.1 100 Continue\r\n\r\n";
  for (const Case& c : std::vector<Case>{
           {"nothing", "", Code::kUnavailable},
           {"no HTTP", "SSH-2.0-x\r\n\r\n", Code::kUnavailable},
           {"no status", "HTTP/1.1 \r\n\r\n", Code::kUnavailable},
           {"status in words", "HTTP/1.1 abc OK\r\n\r\n", Code::kUnavailable},
           {"HTTP/2", "HTTP/2 200 OK\r\n\r\n", Code::kUnavailable},
           {"head without an end", "HTTP/1.1 200 OK\r\nX: y\r\n", Code::kUnavailable},
           {"header without a colon", "HTTP/1.1 200 OK\r\nabc\r\n\r\n", Code::kUnavailable},
           {"space before the colon", "HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\nx", Code::kUnavailable},
           {"null in a header", std::string("HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n", 28), Code::kUnavailable},
           {"shorter than its length", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc", Code::kUnavailable},
           {"negative length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nabc", Code::kUnavailable},
           {"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", Code::kUnavailable},
           {"length of 2^64", "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\nab", Code::kUnavailable},
           {"chunk without an end", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", Code::kUnavailable},
           {"chunks without an end", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
            Code::kUnavailable},
           {"chunk of no size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n0\r\n\r\n",
            Code::kUnavailable},
           {"chunk longer than its size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
            Code::kUnavailable},
           {"chunk of a size beyond 2^64",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nab\r\n0\r\n\r\n",
            Code::kUnavailable},
           {"another protocol", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", Code::kUnavailable},
           {"interim answers only", interim + interim + interim + interim + interim + interim, Code::kUnavailable},
           {"compressed", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx",
            Code::kUnavailable},
           {"one large header", absl::StrCat("HTTP/1.1 200 OK\r\nX: ", std::string(40000, 'x'), "\r\n\r\n"),
            Code::kResourceExhausted},
           {"head that goes on", absl::StrCat("HTTP/1.1 200 OK\r\nX: ", std::string(400000, 'x')),
            Code::kResourceExhausted},
           {"large length",
            absl::StrCat("HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n", std::string(1048577, 'x')),
            Code::kResourceExhausted},
           {"large body without a length", absl::StrCat("HTTP/1.1 200 OK\r\n\r\n", std::string(1048577, 'x')),
            Code::kResourceExhausted},
           {"large chunk",
            absl::StrCat("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100001\r\n", std::string(1048577, 'x'),
                         "\r\n0\r\n\r\n"),
            Code::kResourceExhausted},
           {"large extension of a chunk",
            absl::StrCat("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x=", std::string(1048577, 'x'),
                         "\r\na\r\n0\r\n\r\n"),
            Code::kResourceExhausted},
       }) {
    SCOPED_TRACE(c.name);
    const auto answer = Answered(c.bytes);
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.status().code(), c.code) << answer.status();
    EXPECT_TRUE(absl::StartsWith(answer.status().message(), "127.0.0.1: ")) << answer.status();
  }
}

TEST_F(BeastClientTest, NobodyCanShortenABodyWithoutALength) {
  Start();
  RawServer server(identity_, [](RawPeer& peer) {
    peer.ReadMessage();
    peer.Write("HTTP/1.1 200 OK\r\n\r\n{\"access_token\": \"a\"");
    peer.Abort();
  });
  const auto answer = SendAndWait(*client_, Get(absl::StrCat("https://127.0.0.1:", server.port(), "/")));
  EXPECT_EQ(answer.status().code(), Code::kUnavailable) << answer.status();
}

TEST_F(BeastClientTest, RefusesRequestsThatCannotBeSent) {
  Start();
  struct Case {
    std::string name;
    std::function<void(HttpRequest&)> change;
  };
  for (const Case& c : std::vector<Case>{
           {"http", [](HttpRequest& r) { r.url = "http://127.0.0.1/secret"; }},
           {"user information", [](HttpRequest& r) { r.url = "https://secret@127.0.0.1/"; }},
           {"method in small letters", [](HttpRequest& r) { r.method = "get"; }},
           {"method with a newline", [](HttpRequest& r) { r.method = "GET / HTTP/1.1\r\nX:"; }},
           {"CONNECT", [](HttpRequest& r) { r.method = "CONNECT"; }},
           {"no method", [](HttpRequest& r) { r.method = ""; }},
           {"newline in a header",
            [](HttpRequest& r) {
              r.headers = {{"X", "secret\r\nY: z"}};
            }},
           {"newline in a name",
            [](HttpRequest& r) {
              r.headers = {{"X: secret\r\nY", "z"}};
            }},
           {"Host",
            [](HttpRequest& r) {
              r.headers = {{"host", "secret.example"}};
            }},
           {"Content-Length",
            [](HttpRequest& r) {
              r.headers = {{"Content-Length", "1"}};
            }},
           {"Transfer-Encoding",
            [](HttpRequest& r) {
              r.headers = {{"Transfer-Encoding", "chunked"}};
            }},
           {"large body", [](HttpRequest& r) { r.body = std::string((1 << 20) + 1, 's'); }},
       }) {
    SCOPED_TRACE(c.name);
    HttpRequest request = Get("https://127.0.0.1:1/");
    c.change(request);
    const auto answer = SendAndWait(*client_, std::move(request));
    EXPECT_EQ(answer.status().code(), Code::kInvalidArgument) << answer.status();
    ExpectDiscreet(answer.status());
  }
}

TEST_F(BeastClientTest, EndsWithItsTimeWhereverTheServerStops) {
  Start();
  struct Case {
    std::string name;
    bool tls;
    std::string bytes;
  };
  for (const Case& c :
       std::vector<Case>{{"before TLS", false, ""},
                         {"before the head", true, ""},
                         {"in the head", true, "HTTP/1.1 200 OK\r\nX:"},
                         {"in the body", true, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"},
                         {"in a chunk", true, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\na"}}) {
    SCOPED_TRACE(c.name);
    RawServer::Options options;
    options.tls = c.tls;
    RawServer server(identity_, options, [&c](RawPeer& peer) {
      peer.Write(c.bytes);
      peer.ReadToEnd();
    });
    const auto answer = SendAndWait(*client_, Get(absl::StrCat("https://127.0.0.1:", server.port(), "/secret")),
                                    absl::Milliseconds(200));
    EXPECT_EQ(answer.status().code(), Code::kDeadlineExceeded) << answer.status();
    EXPECT_EQ(answer.status().message(), "127.0.0.1 did not answer in time");
  }
  EXPECT_EQ(SendAndWait(*client_, Get("https://unanswered.test/"), absl::Milliseconds(50)).status().code(),
            Code::kDeadlineExceeded);
  EXPECT_EQ(SendAndWait(*client_, Get("https://unanswered.test/"), absl::ZeroDuration()).status().code(),
            Code::kDeadlineExceeded);
}

TEST_F(BeastClientTest, WhatDoesNotFitWaitsAndThenIsRefused) {
  options_.limits = {/*running=*/2, /*running_per_host=*/1, /*waiting=*/2, /*waiting_per_host=*/1};
  Start();
  std::vector<Pending> pending(3);
  for (Pending& one : pending) client_->Send(Get("https://slow.test/"), absl::InfiniteDuration(), one.Done());
  EXPECT_EQ(pending[2].Wait().status().code(), Code::kResourceExhausted);
  RawServer server(identity_, [](RawPeer& peer) {
    peer.ReadMessage();
    peer.Write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    peer.ReadToEnd();
  });
  EXPECT_TRUE(SendAndWait(*client_, Get(absl::StrCat("https://127.0.0.1:", server.port(), "/"))).ok());
  EXPECT_FALSE(pending[0].ended());
  EXPECT_FALSE(pending[1].ended());
  client_.reset();
  EXPECT_EQ(pending[0].Wait().status().code(), Code::kCancelled);
  EXPECT_EQ(pending[1].Wait().status().code(), Code::kCancelled);
}

TEST_F(BeastClientTest, ATimeThatPassesWhileWaitingCounts) {
  options_.limits = {/*running=*/1, /*running_per_host=*/1, /*waiting=*/1, /*waiting_per_host=*/1};
  Start();
  Pending first;
  client_->Send(Get("https://slow.test/"), absl::InfiniteDuration(), first.Done());
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(SendAndWait(*client_, Get("https://slow.test/"), absl::Milliseconds(20)).status().code(),
              Code::kDeadlineExceeded);
  }
}

TEST_F(BeastClientTest, TheEndOfTheClientEndsEveryRequestOnce) {
  options_.limits.running_per_host = 4;
  Start();
  RawServer::Options silent;
  silent.tls = false;
  RawServer no_tls(identity_, silent, [](RawPeer& peer) { peer.ReadToEnd(); });
  absl::Notification reading;
  RawServer no_answer(identity_, [&](RawPeer& peer) {
    peer.ReadMessage();
    reading.Notify();
    peer.ReadToEnd();
  });
  std::vector<Pending> pending(12);
  for (size_t i = 0; i < pending.size(); ++i) {
    const std::string url = i < 6    ? "https://slow.test/"
                            : i == 6 ? absl::StrCat("https://127.0.0.1:", no_tls.port(), "/")
                            : i == 7 ? absl::StrCat("https://127.0.0.1:", no_answer.port(), "/")
                                     : "https://unanswered.test/";
    client_->Send(Get(url), absl::Seconds(600), pending[i].Done());
  }
  reading.WaitForNotification();
  // Some are being resolved, one is in its handshake, one waits for an answer, some wait for a place.
  client_.reset();
  for (Pending& one : pending) {
    ASSERT_TRUE(one.ended());
    EXPECT_EQ(one.Wait().status().code(), Code::kCancelled);
    EXPECT_EQ(one.calls(), 1);
  }
}

TEST_F(BeastClientTest, CancelAllEndsWhatIsUnderWayAndWhatComesLater) {
  options_.limits.running_per_host = 1;
  Start();
  absl::Notification reading;
  RawServer no_answer(identity_, [&](RawPeer& peer) {
    peer.ReadMessage();
    reading.Notify();
    peer.ReadToEnd();
  });
  std::vector<Pending> pending(4);
  for (size_t i = 0; i < pending.size(); ++i) {
    const std::string url =
        i < 2 ? "https://unanswered.test/" : absl::StrCat("https://127.0.0.1:", no_answer.port(), "/");
    client_->Send(Get(url), absl::Seconds(600), pending[i].Done());
  }
  reading.WaitForNotification();
  client_->CancelAll();
  // Of the running, and of those that wait for a place.
  for (Pending& one : pending) EXPECT_EQ(one.Wait().status().code(), Code::kCancelled);
  Pending later;
  client_->Send(Get("https://unanswered.test/"), absl::Seconds(600), later.Done());
  EXPECT_EQ(later.Wait().status().code(), Code::kCancelled);
  client_->CancelAll();
  client_.reset();
  for (Pending& one : pending) EXPECT_EQ(one.calls(), 1);
  EXPECT_EQ(later.calls(), 1);
}

TEST_F(BeastClientTest, ADoneMaySendAgainEvenAtTheEnd) {
  Start();
  Pending last;
  BeastClient* const client = client_.get();
  client_->Send(Get("https://unanswered.test/"), absl::Seconds(600), [client, &last](absl::StatusOr<HttpResponse>) {
    client->Send(Get("https://unanswered.test/"), absl::Seconds(600), last.Done());
  });
  client_.reset();
  ASSERT_TRUE(last.ended());
  EXPECT_EQ(last.Wait().status().code(), Code::kCancelled);
}

TEST_F(BeastClientTest, NeedsCasThatCanBeRead) {
  options_.ca_file = "/nonexistent.pem";
  const auto missing = BeastClient::Create(std::move(options_));
  EXPECT_EQ(missing.status().code(), Code::kInvalidArgument);
  EXPECT_TRUE(absl::StrContains(missing.status().message(), "/nonexistent.pem"));
  BeastClient::Options none;
  none.ca_bundle = "";
  EXPECT_EQ(BeastClient::Create(std::move(none)).status().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace keyferry::server
