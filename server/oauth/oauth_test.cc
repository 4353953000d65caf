#include "server/oauth/oauth.h"

#include <atomic>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/directory/testing_directory.h"
#include "server/http/testing_tls.h"
#include "server/oauth/callback_address.h"
#include "server/oauth/connection_records.h"
#include "server/records.h"

namespace keyferry::server {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// The text of a token response.
std::string Granted(const std::string& access_token) {
  const std::string body =
      absl::StrCat(R"({"access_token":")", access_token, R"(","token_type":"Bearer","expires_in":3600})");
  return absl::StrCat("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ", body.size(), "\r\n\r\n",
                      body);
}

// Everything of OAuth over a real store, and a real token endpoint that answers what a test says.
class OauthTest : public testing::Test {
 protected:
  OauthTest() : audit_(directory_.store.get(), NoBackground()), logger_(MakeSilentLogger()) {}

  static AuditLog::Options NoBackground() {
    AuditLog::Options options;
    options.background = false;
    return options;
  }

  // `answer` is given each request's number, from 0.
  void StartWith(std::function<void(RawPeer&, int)> answer) {
    token_endpoint_ = std::make_unique<RawServer>(ca_.Issue(), [this, answer = std::move(answer)](RawPeer& peer) {
      peer.ReadMessage();
      answer(peer, requests_++);
    });
    options_.ca_file = ca_.WriteFile("ca");
    options_.allowed_addresses = {"127.0.0.1"};
    auto started = Oauth::Start(options_, {directory_.store.get(), [this] { return absl::FromUnixSeconds(now_); },
                                           &directory_.pages, &audit_, nullptr, &processes_, logger_.get()});
    ASSERT_TRUE(started.ok()) << started.status();
    oauth_ = *std::move(started);
    v1::CreateOauthProviderRequest request;
    request.set_parent("orgs/acme");
    request.set_oauth_provider_id("robot");
    v1::OauthProvider& provider = *request.mutable_oauth_provider();
    provider.set_grant_type(v1::OAUTH_GRANT_TYPE_CLIENT_CREDENTIALS);
    provider.mutable_endpoints()->set_token_url(absl::StrCat("https://127.0.0.1:", token_endpoint_->port(), "/token"));
    provider.mutable_client()->set_client_id("client-1");
    provider.mutable_client()->set_client_secret("client-secret-1");
    const auto created = oauth_->providers()->CreateOauthProvider(root_, request);
    ASSERT_TRUE(created.ok()) << created.status();
  }
  absl::Status Connect() {
    v1::StartConnectionRequest request;
    request.set_parent("orgs/acme");
    request.set_oauth_provider_id("robot");
    return oauth_->connections()->StartConnection(root_, request).status();
  }
  std::string AccessToken() {
    const auto found = ReadRecord<storage::records::ConnectionTokenRecord>(
        *directory_.store->View(), ConnectionRecordKey(storage::Table::kConnectionToken, {"acme", "", "robot"}));
    return found.ok() && found->has_value() ? (*found)->record.access_token() : "(absent)";
  }

  TestDirectory directory_;
  const Caller root_ = directory_.Root();
  std::atomic<int64_t> now_{absl::ToUnixSeconds(directory_.now)};
  AuditLog audit_;
  ProcessTable processes_;
  const std::unique_ptr<Logger> logger_;
  TestCa ca_;
  OauthOptions options_;
  int requests_ = 0;
  std::unique_ptr<RawServer> token_endpoint_;
  std::unique_ptr<Oauth> oauth_;
};

TEST_F(OauthTest, TheEndOfTheGraceEndsTheWaitOfACall) {
  absl::Notification reading;
  StartWith([&reading](RawPeer& peer, int) {
    reading.Notify();
    peer.ReadToEnd();
  });
  absl::Status status;
  std::thread call([&] { status = Connect(); });
  reading.WaitForNotification();
  oauth_->Drain(absl::ZeroDuration());
  call.join();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  // Not that its own time was over.
  EXPECT_THAT(std::string(status.message()), HasSubstr("the server is stopping"));
  EXPECT_THAT(std::string(Connect().message()), HasSubstr("the server is stopping"));
}

// The provider may have used the old refresh token up: what it answers must not be lost.
TEST_F(OauthTest, ARefreshThatHasBegunIsStoredAlsoPastTheGrace) {
  absl::Notification refreshing;
  absl::Notification go;
  StartWith([&](RawPeer& peer, int request) {
    if (request > 0) {
      refreshing.Notify();
      go.WaitForNotification();
    }
    peer.Write(Granted(absl::StrCat("access-", request)));
    peer.Close();
    peer.ReadToEnd();
  });
  ASSERT_TRUE(Connect().ok());
  ASSERT_EQ(AccessToken(), "access-0");
  now_ += 60;
  absl::Notification told;
  absl::Status answer;
  oauth_->refresher()->Refresh({"acme", "", "robot"}, /*force=*/true, [&](const absl::Status& status) {
    answer = status;
    told.Notify();
  });
  refreshing.WaitForNotification();
  std::thread drain([this] { oauth_->Drain(absl::ZeroDuration()); });
  // Who waits for it is not held up.
  told.WaitForNotification();
  EXPECT_EQ(answer.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(AccessToken(), "access-0");
  go.Notify();
  drain.join();
  EXPECT_EQ(AccessToken(), "access-1");
}

TEST_F(OauthTest, ProvidersSendBrowsersToAddressesOfTheirOwn) {
  const TestIdentity identity = ca_.Issue();
  options_.cert_file = ca_.WriteFile("listener-cert");
  options_.key_file = ca_.WriteFile("listener-key");
  std::ofstream(options_.cert_file) << identity.certificate;
  std::ofstream(options_.key_file) << identity.key;
  options_.listener.address = "127.0.0.1:0";
  options_.listener.public_url = "https://keyferry.test";
  StartWith([](RawPeer&, int) {});
  v1::GetOauthProviderRequest request;
  request.set_name("orgs/acme/oauthProviders/robot");
  const auto provider = oauth_->providers()->GetOauthProvider(root_, request);
  ASSERT_TRUE(provider.ok()) << provider.status();
  ASSERT_THAT(provider->callback_url(), StartsWith(absl::StrCat(oauth_->public_url(), kCallbackPath)));
  const std::string listening = oauth_->listen_address();
  const auto status_of = [&](const std::string& path) {
    const auto port = static_cast<uint16_t>(std::stoi(listening.substr(listening.rfind(':') + 1)));
    const auto peer = RawPeer::Connect(port, ca_);
    peer->Write(absl::StrCat("GET ", path, " HTTP/1.1\r\nHost: keyferry.test\r\nConnection: close\r\n\r\n"));
    return peer->ReadToEnd().substr(std::string("HTTP/1.1 ").size(), 3);
  };
  const std::string path = provider->callback_url().substr(oauth_->public_url().size());
  EXPECT_EQ(status_of(path), "400") << "an answer without a state";
  EXPECT_EQ(status_of(path + "?code=CODE&state=unknown"), "404");
  EXPECT_EQ(status_of(path + "/more?code=CODE&state=unknown"), "404");
  EXPECT_EQ(status_of("/oauth/callback?code=CODE&state=unknown"), "404");
  EXPECT_EQ(status_of(absl::StrCat(kCallbackPath, std::string(8000, 'a'))), "404");
}

}  // namespace
}  // namespace keyferry::server
