#include "server/metrics/metrics_listener.h"

#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/http/testing_tls.h"
#include "storage/testing_store.h"

namespace keyferry::server {
namespace {

constexpr char kToken[] = "0123456789abcdef0123456789abcdef";

class MetricsListenerTest : public testing::Test {
 protected:
  MetricsListenerTest() : directory_(storage::MakeTestDirectory()) {
    const TestIdentity identity = ca_.Issue();
    Write("cert.pem", identity.certificate);
    Write("key.pem", identity.key);
    options_.listen = "127.0.0.1:0";
    options_.files = {directory_ + "/cert.pem", directory_ + "/key.pem", ""};
  }

  std::string Write(const std::string& name, const std::string& text, mode_t mode = 0600) const {
    const std::string path = absl::StrCat(directory_, "/", name);
    std::ofstream(path) << text;
    EXPECT_EQ(chmod(path.c_str(), mode), 0);
    return path;
  }
  void Start() {
    auto listener = MetricsListener::Start(options_);
    ASSERT_TRUE(listener.ok()) << listener.status();
    listener_ = *std::move(listener);
  }
  void StartWithToken() {
    options_.token_file = Write("token", absl::StrCat(kToken, "\n"));
    Start();
  }
  std::string Ask(const std::string& target, const std::string& headers = "", const std::string& host = "10.9.8.7:1") {
    const std::string address = listener_->address();
    int port = 0;
    EXPECT_TRUE(absl::SimpleAtoi(address.substr(address.rfind(':') + 1), &port));
    const auto peer = RawPeer::Connect(static_cast<uint16_t>(port), ca_);
    EXPECT_TRUE(peer->connected());
    peer->Write(absl::StrCat("GET ", target, " HTTP/1.1\r\nHost: ", host, "\r\n", headers, "\r\n"));
    return peer->ReadMessage();
  }
  static std::string StatusOf(const std::string& answer) { return answer.substr(0, answer.find("\r\n")); }
  static MetricsListener::Source Running() {
    return {[](metrics::Exposition* out) { out->Gauge("g", "G.", 7); }, [] { return absl::OkStatus(); }};
  }

  const std::string directory_;
  const TestCa ca_;
  MetricsListener::Options options_;
  std::unique_ptr<MetricsListener> listener_;
};

TEST_F(MetricsListenerTest, AnswersBeforeTheServerIsThereAndAfterIt) {
  Start();
  EXPECT_EQ(StatusOf(Ask("/healthz")), "HTTP/1.1 200 OK");
  EXPECT_TRUE(absl::EndsWith(Ask("/readyz"), "the server is starting\n"));
  EXPECT_EQ(StatusOf(Ask("/readyz")), "HTTP/1.1 503 Service Unavailable");
  EXPECT_TRUE(absl::StrContains(Ask("/metrics"), "\nkeyferry_ready 0\n"));
  listener_->Attach(Running());
  EXPECT_EQ(StatusOf(Ask("/readyz")), "HTTP/1.1 200 OK");
  const std::string metrics = Ask("/metrics");
  EXPECT_EQ(StatusOf(metrics), "HTTP/1.1 200 OK");
  EXPECT_TRUE(absl::StrContains(metrics, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
  EXPECT_TRUE(absl::StrContains(metrics, "\nkeyferry_ready 1\n"));
  EXPECT_TRUE(absl::StrContains(metrics, "\ng 7\n"));
  listener_->Detach();
  EXPECT_TRUE(absl::EndsWith(Ask("/readyz"), "the server is stopping\n"));
  EXPECT_FALSE(absl::StrContains(Ask("/metrics"), "\ng 7\n"));
  EXPECT_EQ(StatusOf(Ask("/healthz")), "HTTP/1.1 200 OK");
}

TEST_F(MetricsListenerTest, AServerThatCannotServeIsNotReadyAndSaysWhy) {
  Start();
  listener_->Attach({nullptr, [] { return absl::UnavailableError("the store takes nothing more"); }});
  EXPECT_EQ(StatusOf(Ask("/readyz")), "HTTP/1.1 503 Service Unavailable");
  EXPECT_TRUE(absl::EndsWith(Ask("/readyz"), "the store takes nothing more\n"));
  EXPECT_EQ(StatusOf(Ask("/healthz")), "HTTP/1.1 200 OK");
}

TEST_F(MetricsListenerTest, MetricsNeedTheTokenAndProbesDoNot) {
  StartWithToken();
  listener_->Attach(Running());
  const std::string token(kToken);
  struct Case {
    const char* name;
    std::string headers;
  };
  for (const Case& c :
       {Case{"none", ""}, Case{"empty", "Authorization: Bearer \r\n"}, Case{"bare", "Authorization: " + token + "\r\n"},
        Case{"other scheme", "Authorization: Basic " + token + "\r\n"},
        Case{"prefix", "Authorization: Bearer " + token.substr(1) + "\r\n"},
        Case{"longer", "Authorization: Bearer " + token + "0\r\n"},
        Case{"last byte", "Authorization: Bearer " + token.substr(0, 31) + "0\r\n"},
        Case{"twice", "Authorization: Bearer " + token + "\r\nAuthorization: Bearer " + token + "\r\n"}}) {
    SCOPED_TRACE(c.name);
    const std::string answer = Ask("/metrics", c.headers);
    EXPECT_EQ(StatusOf(answer), "HTTP/1.1 401 Unauthorized");
    EXPECT_TRUE(absl::StrContains(answer, "WWW-Authenticate: Bearer\r\n"));
    EXPECT_FALSE(absl::StrContains(answer, "\ng 7\n"));
    EXPECT_FALSE(absl::StrContains(answer, token.substr(0, 8)));
  }
  EXPECT_EQ(StatusOf(Ask("/metrics", "Authorization: Bearer " + token + "\r\n")), "HTTP/1.1 200 OK");
  EXPECT_EQ(StatusOf(Ask("/metrics", "authorization: bearer  " + token + "\r\n")), "HTTP/1.1 200 OK");
  EXPECT_EQ(StatusOf(Ask("/healthz")), "HTTP/1.1 200 OK");
  EXPECT_EQ(StatusOf(Ask("/readyz")), "HTTP/1.1 200 OK");
}

TEST_F(MetricsListenerTest, ATokenThatCannotBeUsedIsRefusedAndTheOldOneStays) {
  StartWithToken();
  Write("token", "short");
  EXPECT_TRUE(absl::StrContains(listener_->ReloadToken().message(), "shorter than 16 bytes"));
  Write("token", "another-token-of-32-bytes-0123456", 0644);
  EXPECT_TRUE(absl::StrContains(listener_->ReloadToken().message(), "can be read by everybody"));
  EXPECT_EQ(StatusOf(Ask("/metrics", absl::StrCat("Authorization: Bearer ", kToken, "\r\n"))), "HTTP/1.1 200 OK");
  Write("token", "another-token-of-32-bytes-0123456");
  ASSERT_TRUE(listener_->ReloadToken().ok());
  EXPECT_EQ(StatusOf(Ask("/metrics", absl::StrCat("Authorization: Bearer ", kToken, "\r\n"))),
            "HTTP/1.1 401 Unauthorized");
  EXPECT_EQ(StatusOf(Ask("/metrics", "Authorization: Bearer another-token-of-32-bytes-0123456\r\n")),
            "HTTP/1.1 200 OK");
}

// The source may wait for a thread that reloads the token.
TEST_F(MetricsListenerTest, TheTokenIsReloadedWhileTheSourceWrites) {
  StartWithToken();
  absl::Status reloaded = absl::UnknownError("not tried");
  listener_->Attach({[this, &reloaded](metrics::Exposition* out) {
                       std::thread reload([this, &reloaded] { reloaded = listener_->ReloadToken(); });
                       reload.join();
                       out->Gauge("g", "G.", 7);
                     },
                     [] { return absl::OkStatus(); }});
  EXPECT_TRUE(absl::StrContains(Ask("/metrics", absl::StrCat("Authorization: Bearer ", kToken, "\r\n")), "\ng 7\n"));
  EXPECT_TRUE(reloaded.ok()) << reloaded;
}

TEST_F(MetricsListenerTest, WhatCannotBeUsedDoesNotStart) {
  MetricsListener::Options options = options_;
  options.token_file = directory_ + "/none";
  EXPECT_TRUE(absl::StrContains(MetricsListener::Start(options).status().message(), "/none"));
  options = options_;
  options.files.key_file = directory_ + "/cert.pem";
  EXPECT_FALSE(MetricsListener::Start(options).ok());
}

TEST_F(MetricsListenerTest, ThereIsNothingElse) {
  Start();
  for (const char* target : {"/", "/metrics/", "/metrics2", "/../metrics", "/debug/pprof"}) {
    EXPECT_EQ(StatusOf(Ask(target)), "HTTP/1.1 404 Not Found") << target;
  }
}

}  // namespace
}  // namespace keyferry::server
