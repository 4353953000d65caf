// What is asked of an issuer's server and of an API server of Kubernetes, over TLS.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "server/http/testing_tls.h"
#include "server/identity/external/key_reader.h"
#include "server/identity/external/token_reviewer.h"
#include "storage/testing_store.h"

namespace keyferry::server {
namespace {

std::string Answer(int status, absl::string_view body) {
  return absl::StrCat("HTTP/1.1 ", status, " X\r\nContent-Type: application/json\r\nContent-Length: ", body.size(),
                      "\r\n\r\n", body);
}

// A server that gives one answer to everything and keeps what it was asked.
class HttpSourcesTest : public ::testing::Test {
 protected:
  HttpSourcesTest() : directory_(storage::MakeTestDirectory()) {
    ca_file_ = Write("ca.pem", ca_.certificate());
    token_file_ = Write("token", "own-token\n");
    server_ = std::make_unique<RawServer>(ca_.Issue(), [this](RawPeer& peer) {
      peer.Write(AnswerTo(peer.ReadMessage()));
      peer.Close();
      peer.ReadToEnd();
    });
    origin_ = absl::StrCat("https://127.0.0.1:", server_->port());
  }

  std::string AnswerTo(const std::string& request) {
    absl::MutexLock lock(&mutex_);
    asked_.push_back(request);
    const size_t path = request.find(' ') + 1;
    const auto found = answers_.find(request.substr(path, request.find(' ', path) - path));
    return found == answers_.end() ? Answer(status_, "") : Answer(200, found->second);
  }
  std::string Write(const std::string& name, absl::string_view text) {
    const std::string path = absl::StrCat(directory_, "/", name);
    std::ofstream(path) << text;
    return path;
  }
  void On(const std::string& target, std::string body) {
    absl::MutexLock lock(&mutex_);
    answers_[target] = std::move(body);
  }
  std::string Asked(size_t i) {
    absl::MutexLock lock(&mutex_);
    return i < asked_.size() ? asked_[i] : "";
  }
  config::Issuer Issuer() {
    config::Issuer issuer;
    issuer.set_issuer(origin_);
    issuer.set_ca_file(ca_file_);
    issuer.set_token_file(token_file_);
    return issuer;
  }

  const TestCa ca_;
  const std::string directory_;
  std::string ca_file_, token_file_, origin_;
  absl::Mutex mutex_;
  int status_ = 404;
  std::map<std::string, std::string> answers_;
  std::vector<std::string> asked_;
  std::unique_ptr<RawServer> server_;
};

TEST_F(HttpSourcesTest, ReadsKeysOfAConfiguredAddressWithTheTokenOfItsFile) {
  config::Issuer issuer = Issuer();
  issuer.set_jwks_url(origin_ + "/keys?x=1");
  On("/keys?x=1", "the keys");
  const auto reader = MakeKeyReader(issuer, AddressGuard());
  EXPECT_EQ(*reader->Read(), "the keys");
  EXPECT_TRUE(absl::StrContains(Asked(0), "Authorization: Bearer own-token\r\n")) << Asked(0);
  Write("token", "next-token");
  EXPECT_EQ(*reader->Read(), "the keys");
  EXPECT_TRUE(absl::StrContains(Asked(1), "Authorization: Bearer next-token\r\n")) << Asked(1);
}

TEST_F(HttpSourcesTest, FindsKeysThroughTheIssuersDocument) {
  config::Issuer issuer = Issuer();
  issuer.set_discovery(true);
  On("/.well-known/openid-configuration",
     absl::StrCat(R"({"issuer":")", origin_, R"(","jwks_uri":")", origin_, R"(/openid/v1/jwks"})"));
  On("/openid/v1/jwks", "the keys");
  EXPECT_EQ(*MakeKeyReader(issuer, AddressGuard())->Read(), "the keys");
  // A document that names another issuer, or none.
  for (const char* document : {R"({"issuer":"https://other","jwks_uri":"https://other/keys"})", "{}", "[]", "x"}) {
    On("/.well-known/openid-configuration", document);
    EXPECT_FALSE(MakeKeyReader(issuer, AddressGuard())->Read().ok()) << document;
  }
}

TEST_F(HttpSourcesTest, WhatADocumentNamesElsewhereIsGuardedAndGetsNoToken) {
  config::Issuer issuer = Issuer();
  issuer.set_discovery(true);
  const std::string elsewhere = absl::StrCat("https://localhost:", server_->port(), "/keys");
  On("/.well-known/openid-configuration",
     absl::StrCat(R"({"issuer":")", origin_, R"(","jwks_uri":")", elsewhere, R"("})"));
  On("/keys", "the keys");
  EXPECT_TRUE(absl::IsPermissionDenied(MakeKeyReader(issuer, AddressGuard())->Read().status()));
  const auto allowed = AddressGuard::Create({"127.0.0.0/8", "::1"});
  ASSERT_TRUE(allowed.ok());
  EXPECT_EQ(*MakeKeyReader(issuer, *allowed)->Read(), "the keys");
  EXPECT_TRUE(absl::StrContains(Asked(2), "/keys")) << Asked(2);
  EXPECT_FALSE(absl::StrContains(Asked(2), "own-token")) << Asked(2);
}

TEST_F(HttpSourcesTest, FailuresSayWhatIsWrongWithoutTheToken) {
  config::Issuer issuer = Issuer();
  issuer.set_jwks_url(origin_ + "/none");
  EXPECT_EQ(MakeKeyReader(issuer, AddressGuard())->Read().status().message(),
            "the server answered with HTTP status 404");
  Write("token", "two words");
  EXPECT_TRUE(absl::IsInvalidArgument(MakeKeyReader(issuer, AddressGuard())->Read().status()));
  // A server of other CAs.
  Write("token", "own-token");
  issuer.set_ca_file(Write("other.pem", TestCa().certificate()));
  EXPECT_TRUE(absl::IsUnavailable(MakeKeyReader(issuer, AddressGuard())->Read().status()));
  issuer = Issuer();
  issuer.set_jwks_url(origin_ + "/none");
  const auto reader = MakeKeyReader(issuer, AddressGuard());
  reader->Stop();
  EXPECT_FALSE(reader->Read().ok());
}

TEST_F(HttpSourcesTest, AKeyFileIsReadAnew) {
  config::Issuer issuer;
  issuer.set_jwks_file(Write("jwks.json", "first"));
  const auto reader = MakeKeyReader(issuer, AddressGuard());
  EXPECT_EQ(*reader->Read(), "first");
  Write("jwks.json", "second");
  EXPECT_EQ(*reader->Read(), "second");
}

constexpr char kPath[] = "/apis/authentication.k8s.io/v1/tokenreviews";

TEST_F(HttpSourcesTest, ATokenStandsOnlyIfTheApiServerSaysSoOfItsSubjectAndAudience) {
  config::TokenReview review;
  review.set_url(origin_);
  review.set_ca_file(ca_file_);
  review.set_token_file(token_file_);
  auto reviewer = HttpTokenReviewer::Create(review, "keyferry");
  ASSERT_TRUE(reviewer.ok()) << reviewer.status();
  const auto judge = [&](const std::string& answer) {
    On(kPath, answer);
    absl::Notification done;
    absl::Status outcome;
    (*reviewer)->Review("pod.to.ken", "system:serviceaccount:a:b", [&](const absl::Status& status) {
      outcome = status;
      done.Notify();
    });
    done.WaitForNotification();
    return outcome;
  };
  const auto with = [](absl::string_view status) {
    return absl::StrCat(R"({"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","status":{)", status, "}}");
  };
  constexpr char kUser[] = R"("user":{"username":"system:serviceaccount:a:b"})";
  constexpr char kAudiences[] = R"("audiences":["keyferry"])";
  EXPECT_EQ(judge(with(absl::StrCat(R"("authenticated":true,)", kUser, ",", kAudiences))), absl::OkStatus());
  const std::string request = Asked(0);
  EXPECT_TRUE(absl::StartsWith(request, absl::StrCat("POST ", kPath, " HTTP/1.1"))) << request;
  EXPECT_TRUE(absl::StrContains(request, "Authorization: Bearer own-token\r\n"));
  EXPECT_TRUE(absl::StrContains(request, R"("spec":{"token":"pod.to.ken","audiences":["keyferry"]})")) << request;
  for (const std::string& status :
       {absl::StrCat(R"("authenticated":false,)", kUser, ",", kAudiences), absl::StrCat(kUser, ",", kAudiences),
        absl::StrCat(R"("authenticated":"true",)", kUser, ",", kAudiences),
        absl::StrCat(R"("authenticated":true,)", kUser),
        absl::StrCat(R"("authenticated":true,"audiences":["other"],)", kUser),
        absl::StrCat(R"("authenticated":true,"user":{"username":"system:serviceaccount:a:c"},)", kAudiences),
        absl::StrCat(R"("authenticated":true,)", kAudiences)}) {
    EXPECT_TRUE(absl::IsPermissionDenied(judge(with(status)))) << status;
  }
  for (const std::string& answer : {std::string("x"), std::string("{}"), std::string(R"({"kind":"Status"})")}) {
    EXPECT_TRUE(absl::IsUnavailable(judge(answer))) << answer;
  }
  {
    absl::MutexLock lock(&mutex_);
    answers_.clear();
    status_ = 403;
  }
  absl::Notification done;
  (*reviewer)->Review("pod.to.ken", "s", [&](const absl::Status& status) {
    EXPECT_TRUE(absl::IsUnavailable(status)) << status;
    EXPECT_FALSE(absl::StrContains(status.message(), "pod.to.ken"));
    done.Notify();
  });
  done.WaitForNotification();
}

}  // namespace
}  // namespace keyferry::server
