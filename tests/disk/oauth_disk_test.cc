// Connections are made, made again, left half made, and ended on a real keyferryd, with a provider over real TLS; then
// none of the secrets in that is readable in any file of the data directory, at any of these moments, or in the log.

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "gtest/gtest.h"
#include "keyferry/v1/connections.grpc.pb.h"
#include "keyferry/v1/oauth_providers.grpc.pb.h"
#include "server/http/beast_client.h"
#include "server/http/testing_client.h"
#include "server/http/url.h"
#include "server/oauth/protocol/mock_provider_server.h"
#include "tests/disk/needles.h"
#include "tests/harness/dev_server.h"

namespace keyferry::testing {
namespace {

using server::HttpResponse;

constexpr char kAdmin[] = "orgs/dev/users/admin";
constexpr char kClientSecret[] = "client-secret-5d1c7f0a93";
constexpr char kNextSecret[] = "client-secret-next-77ab41";

// Texts that nobody may find, collected from several threads.
class Secrets {
 public:
  std::string Add(std::string text) {
    absl::MutexLock lock(&mutex_);
    // Shorter ones could be found by chance.
    EXPECT_GE(text.size(), 16u) << "no needle";
    needles_.Add(text);
    return text;
  }
  std::vector<std::string> FindIn(const std::string& haystack) {
    absl::MutexLock lock(&mutex_);
    return needles_.FindIn(haystack);
  }
  size_t size() {
    absl::MutexLock lock(&mutex_);
    return needles_.size();
  }

 private:
  absl::Mutex mutex_;
  Needles needles_;
};

std::string Between(const std::string& text, const std::string& before, const std::string& after) {
  const size_t at = text.find(before);
  if (at == std::string::npos) return "";
  const size_t from = at + before.size();
  return text.substr(from, text.find(after, from) - from);
}

// Of a form or a query.
std::string Parameter(const std::string& form, const std::string& name) {
  for (const absl::string_view pair : absl::StrSplit(form.substr(form.find('?') + 1), '&')) {
    if (absl::StartsWith(pair, name + "=")) return std::string(pair.substr(name.size() + 1));
  }
  return "";
}

server::MockProviderOptions ProviderOptions(Secrets* secrets) {
  server::MockProviderOptions options;
  options.client.secret = kClientSecret;
  options.client.authentication = v1::OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_POST;
  options.requires_pkce = true;
  options.answer = [secrets](const server::MockGrant& grant) {
    HttpResponse answer;
    answer.status = 200;
    answer.headers = {{"Content-Type", "application/json"}};
    answer.body = absl::StrCat(R"({"access_token":")", secrets->Add(grant.access_token), R"(","refresh_token":")",
                               secrets->Add(grant.refresh_token), R"(","expires_in":3600})");
    return answer;
  };
  return options;
}

// A browser and an administrator.
class OauthDiskTest : public ::testing::Test {
 protected:
  OauthDiskTest() {
    provider_.first = [this](const server::HttpRequest& request) {
      HttpResponse answer;
      if (absl::EndsWith(request.url, "/token") && !Parameter(request.body, "code_verifier").empty()) {
        secrets_.Add(Parameter(request.body, "code_verifier"));
      }
      // So that revocations stay in the store.
      if (absl::EndsWith(request.url, "/revoke")) answer.status = 503;
      return answer;
    };
    dev_ = DevServer::Start(
        data_dir_, "127.0.0.1:0",
        {"--outbound-ca-file", ca_.WriteFile("provider_ca.pem"), "--outbound-allowed-addresses", "127.0.0.0/8"});
    connection_ = dev_->Connect();
    providers_ = v1::OauthProviderService::NewStub(connection_->channel());
    connections_ = v1::ConnectionService::NewStub(connection_->channel());
    server::BeastClient::Options http;
    http.ca_bundle = "";
    http.ca_file = dev_->ca_file();
    http.guard = *server::AddressGuard::Create({"127.0.0.0/8"});
    browser_ = *server::BeastClient::Create(std::move(http));
    secrets_.Add(kClientSecret);
    secrets_.Add(kNextSecret);
  }

  void Create(const std::string& id, const v1::OauthProvider& definition, v1::OauthProvider* created) {
    v1::CreateOauthProviderRequest request;
    request.set_parent("orgs/dev");
    request.set_oauth_provider_id(id);
    *request.mutable_oauth_provider() = definition;
    grpc::ClientContext context;
    const grpc::Status status = providers_->CreateOauthProvider(&context, request, created);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }

  HttpResponse Browse(const std::string& method, const std::string& url, const std::string& form = "") {
    server::HttpRequest request;
    request.method = method;
    request.url = url;
    request.body = form;
    if (!form.empty()) request.headers.emplace_back("Content-Type", "application/x-www-form-urlencoded");
    std::vector<std::string> pairs;
    for (const auto& [name, value] : cookies_) pairs.push_back(absl::StrCat(name, "=", value));
    if (!pairs.empty()) request.headers.emplace_back("Cookie", absl::StrJoin(pairs, "; "));
    auto answer = server::SendAndWait(*browser_, std::move(request));
    EXPECT_TRUE(answer.ok()) << answer.status();
    if (!answer.ok()) return HttpResponse();
    for (const auto& [name, value] : answer->headers) {
      if (!absl::EqualsIgnoreCase(name, "set-cookie")) continue;
      const std::vector<std::string> pair = absl::StrSplit(value.substr(0, value.find(';')), absl::MaxSplits('=', 1));
      cookies_[pair[0]] = secrets_.Add(pair[1]);
    }
    return *std::move(answer);
  }

  // Up to the consent at the provider: where that sends the browser back to.
  std::string StartAndConsent(const std::string& parent) {
    v1::StartConnectionRequest request;
    request.set_parent(parent);
    request.set_oauth_provider_id("corp");
    v1::StartConnectionResponse started;
    grpc::ClientContext context;
    const grpc::Status status = connections_->StartConnection(&context, request, &started);
    EXPECT_TRUE(status.ok()) << status.error_message();
    const std::string secret = secrets_.Add(Parameter(started.start_url(), "t"));
    const HttpResponse page = Browse("GET", started.start_url());
    const std::string token = secrets_.Add(Between(page.body, "name=\"f\" value=\"", "\""));
    const HttpResponse redirect =
        Browse("POST", dev_->public_url() + "/oauth/start", absl::StrCat("t=", secret, "&f=", token));
    const std::string url(redirect.Header("Location"));
    secrets_.Add(Parameter(url, "state"));
    const auto back = provider_->Consent(url);
    EXPECT_TRUE(back.ok()) << back.status() << redirect.body;
    return back.ok() ? *back : "";
  }

  void Connect(const std::string& parent) {
    const HttpResponse page = Browse("GET", StartAndConsent(parent));
    ASSERT_EQ(page.status, 200) << page.body << provider_->last_problem();
  }

  void Disconnect(const std::string& parent) {
    v1::DeleteConnectionRequest request;
    request.set_name(parent + "/connections/corp");
    google::protobuf::Empty empty;
    grpc::ClientContext context;
    const grpc::Status status = connections_->DeleteConnection(&context, request, &empty);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }

  void RotateSecret() {
    v1::UpdateOauthProviderRequest request;
    request.mutable_oauth_provider()->set_name("orgs/dev/oauthProviders/corp");
    request.mutable_oauth_provider()->mutable_client()->set_client_secret(kNextSecret);
    request.mutable_update_mask()->add_paths("client.client_secret");
    v1::OauthProvider provider;
    grpc::ClientContext context;
    const grpc::Status status = providers_->UpdateOauthProvider(&context, request, &provider);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }

  // Keeps what is in the files now: what is secret in it may be known later only.
  void TakePicture(const std::string& moment) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(data_dir_)) {
      if (!entry.is_regular_file()) continue;
      pictures_.emplace_back(absl::StrCat(moment, ": ", entry.path().string()),
                             entry.path().string() + "\n" + ReadWholeFile(entry.path()));
    }
  }

  void ExpectNothingReadable() {
    for (const auto& [name, content] : pictures_) {
      const std::vector<std::string> found = secrets_.FindIn(content);
      EXPECT_TRUE(found.empty()) << name << " holds " << absl::StrJoin(found, "; ");
    }
    const std::string log = ReadWholeFile(dev_->log_path());
    EXPECT_FALSE(log.empty());
    EXPECT_TRUE(secrets_.FindIn(log).empty()) << "the log shows a secret";
  }

  const std::string data_dir_ = MakeTestDirectory("oauth-disk") + "/data";
  Secrets secrets_;
  const server::TestCa ca_;
  server::MockProviderServer provider_{ca_, ProviderOptions(&secrets_)};
  std::unique_ptr<DevServer> dev_;
  std::unique_ptr<client::Connection> connection_;
  std::unique_ptr<v1::OauthProviderService::Stub> providers_;
  std::unique_ptr<v1::ConnectionService::Stub> connections_;
  std::unique_ptr<server::HttpClient> browser_;
  std::map<std::string, std::string> cookies_;
  std::vector<std::pair<std::string, std::string>> pictures_;
};

TEST_F(OauthDiskTest, NoSecretOfOauthIsReadable) {
  v1::OauthProvider created;
  ASSERT_NO_FATAL_FAILURE(Create("corp", provider_.Definition(), &created));
  // Of a key that Keyferry keeps nothing is known but the public half, which stands in the private one as well.
  v1::OauthProvider signing = provider_.Definition();
  signing.mutable_client()->clear_client_secret();
  signing.mutable_client()->set_authentication(v1::OAUTH_CLIENT_AUTHENTICATION_PRIVATE_KEY_JWT);
  ASSERT_NO_FATAL_FAILURE(Create("signing", signing, &created));
  std::string modulus;
  ASSERT_TRUE(absl::WebSafeBase64Unescape(Between(created.client().jwks(), "\"n\":\"", "\""), &modulus));
  secrets_.Add(modulus.substr(0, 32));
  const server::TestIdentity identity = ca_.Issue();
  v1::OauthProvider mutual = provider_.Definition();
  mutual.mutable_client()->clear_client_secret();
  mutual.mutable_client()->set_authentication(v1::OAUTH_CLIENT_AUTHENTICATION_TLS_CLIENT_AUTH);
  mutual.mutable_client()->set_certificate(identity.certificate);
  mutual.mutable_client()->set_certificate_private_key(identity.key);
  ASSERT_NO_FATAL_FAILURE(Create("mutual", mutual, &created));
  // Of the key's own bits, after what begins every key of its kind.
  secrets_.Add(std::vector<std::string>(absl::StrSplit(identity.key, '\n')).at(2).substr(0, 48));

  ASSERT_NO_FATAL_FAILURE(Connect(kAdmin));
  ASSERT_NO_FATAL_FAILURE(Connect("orgs/dev"));
  ASSERT_NO_FATAL_FAILURE(Connect(kAdmin));
  TakePicture("connected");
  const std::string half = StartAndConsent(kAdmin);
  secrets_.Add(*server::PercentDecode(Parameter(half, "code")));
  TakePicture("waiting for the callback");
  EXPECT_EQ(Browse("GET", half).status, 200);
  ASSERT_NO_FATAL_FAILURE(Disconnect(kAdmin));
  TakePicture("to be revoked");
  ASSERT_NO_FATAL_FAILURE(RotateSecret());
  EXPECT_EQ(dev_->Stop(), 0);
  TakePicture("after the end");

  // Four connections of two tokens, a verifier, a state, a start link, a form and a cookie each.
  EXPECT_GT(secrets_.size(), 4u * 7u);
  EXPECT_GT(pictures_.size(), 4u * 5u);
  ExpectNothingReadable();
}

}  // namespace
}  // namespace keyferry::testing
