#ifndef KEYFERRY_SERVER_OAUTH_PROTOCOL_QUIRK_WORLD_H_
#define KEYFERRY_SERVER_OAUTH_PROTOCOL_QUIRK_WORLD_H_

#include <memory>
#include <string>

#include "server/oauth/protocol/authorization_url.h"
#include "server/oauth/protocol/fake_http_client.h"
#include "server/oauth/protocol/make_token_client.h"
#include "server/oauth/protocol/mock_provider.h"

namespace keyferry::server {

// A definition on one side and a mock provider on the other, and what a person and Keyferry do between them.
class QuirkWorld {
 public:
  QuirkWorld(v1::OauthProvider provider, MockProviderOptions options);

  // A person connects in the browser, up to the exchange of the code. What fails before is a kRejected whose message
  // begins with "browser: ".
  TokenResult Connect(const UrlVariables& variables = {});
  TokenResult Refresh(const std::string& refresh_token, const std::string& access_token = "",
                      const UrlVariables& variables = {});
  TokenResult RequestWithoutPerson();
  absl::Status Revoke(const std::string& refresh_token, const std::string& access_token = "",
                      const UrlVariables& variables = {});

  MockProvider& provider() { return *provider_; }
  FakeHttpClient& http() { return *http_; }
  TokenClient& client() { return *client_; }
  std::shared_ptr<ProviderDefinition> definition() { return definition_; }
  const CallbackQuery& callback() const { return callback_; }
  const std::string& authorization_url() const { return authorization_url_; }

  // The world's time, which stands still but for this.
  void Pass(absl::Duration duration) { *now_ += duration; }
  absl::Time now() const { return *now_; }

 private:
  std::shared_ptr<absl::Time> now_;
  std::unique_ptr<MockProvider> provider_;
  std::unique_ptr<FakeHttpClient> http_;
  std::unique_ptr<TokenClient> client_;
  std::shared_ptr<ProviderDefinition> definition_;
  std::string authorization_url_;
  CallbackQuery callback_;
};

// The grant or the error of a result; a test failure and an empty one if it is the other.
TokenGrant GrantOf(TokenResult result);
TokenError ErrorOf(TokenResult result);

// Answers for MockProviderOptions::answer.
HttpResponse Answer(int status, const std::string& type, const std::string& body);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROTOCOL_QUIRK_WORLD_H_
