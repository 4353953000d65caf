#ifndef KEYFERRY_SERVER_OAUTH_PROTOCOL_MOCK_PROVIDER_H_
#define KEYFERRY_SERVER_OAUTH_PROTOCOL_MOCK_PROVIDER_H_

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "keyferry/v1/oauth_providers.pb.h"
#include "server/http/http_client.h"
#include "server/oauth/protocol/mock_client_check.h"
#include "server/oauth/protocol/parameters.h"

namespace keyferry::server {

// What a mock provider grants, for the test to write as its provider does.
struct MockGrant {
  std::string access_token;
  // "" if none is given.
  std::string refresh_token;
  absl::Duration lifetime;
  std::string scope;
};

// How a provider behaves. Names map the standard's to the provider's own.
struct MockProviderOptions {
  std::string issuer = "https://provider.test";
  MockClient client;

  // Authorization endpoint, and the callback.
  std::map<std::string, std::string> authorization_names;
  std::map<std::string, std::string> required_authorization;
  std::string scope_separator = " ";
  bool refuses_pkce = false;
  bool requires_pkce = false;
  std::string code_parameter = "code";
  std::map<std::string, std::string> callback_parameters;
  bool sends_issuer = false;

  // Token endpoint.
  v1::OauthRequestFormat format = v1::OAUTH_REQUEST_FORMAT_FORM;
  std::map<std::string, std::string> token_names;
  std::map<std::string, std::string> grant_names;
  std::map<std::string, std::string> required_token;
  absl::Duration lifetime = absl::Hours(1);
  bool gives_refresh_token = true;
  // A refresh token works once, and its reuse ends the whole grant.
  bool rotates = true;
  // The exchange of a code gives a token that is good only for `/second`.
  bool needs_second_exchange = false;
  std::function<HttpResponse(const MockGrant&)> answer;
  std::function<HttpResponse(int status, const std::string& error)> error;

  // Refreshes: at `/refresh` alone if set; by the access token; with these parameters and headers.
  bool separate_refresh_url = false;
  bool refreshes_by_access_token = false;
  std::map<std::string, std::string> refresh_names;
  std::map<std::string, std::string> required_refresh;
  std::map<std::string, std::string> required_refresh_headers;

  // Documents of discovery and registration; a member that a test adds or replaces.
  std::map<std::string, std::string> metadata;
  // Only under the form of OpenID Connect.
  bool openid_only = false;
  std::string registration_token;
};

// An authorization server with real state: codes that work once, refresh tokens that rotate, grants that end. It looks
// at every request as strictly as a provider would. Thread-safe.
//
// Endpoints under the issuer: /authorize, /token, /refresh, /second, /revoke, /introspect, /userinfo, /register, the
// documents under /.well-known/, and a protected resource at /mcp.
class MockProvider {
 public:
  explicit MockProvider(MockProviderOptions options = {}, std::function<absl::Time()> clock = absl::Now);

  HttpResponse Handle(const HttpRequest& request);
  std::function<HttpResponse(const HttpRequest&)> Server();

  // The definition that fits a provider of default options; tests of quirks write their own.
  v1::OauthProvider Definition(const std::string& name) const;

  // A person consents, or refuses, in the browser that was sent to `url`: what the browser is sent back to.
  // INVALID_ARGUMENT: the provider shows an error page instead.
  absl::StatusOr<std::string> Consent(const std::string& url);
  absl::StatusOr<std::string> Refuse(const std::string& url);

  // Tokens as if somebody had connected, e.g. to put into a store.
  MockGrant Issue(const std::string& scope = "read");
  // The person withdraws every consent at the provider's own page.
  void WithdrawAll();

  // Whether the access token works, by the provider's own clock.
  bool IsActive(const std::string& access_token) const;
  bool IsRefreshable(const std::string& refresh_token) const;

  int exchanges() const;
  int refreshes() const;
  // How often a refresh token came again that had been used.
  int reuses() const;
  int revocations() const;
  // The last refusal's reason, for a test that fails.
  std::string last_problem() const;
  std::vector<std::string> registered_clients() const;

 private:
  struct Code {
    std::string redirect_uri, challenge, scope, resource;
  };
  struct Token {
    int family = 0;
    bool used = false;
    bool good_for_second_only = false;
    absl::Time expires = absl::InfiniteFuture();
    std::string scope;
  };

  absl::StatusOr<std::string> Authorize(const std::string& url, bool consents) ABSL_LOCKS_EXCLUDED(mutex_);
  HttpResponse TokenEndpoint(const HttpRequest& request, bool refresh) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  HttpResponse GrantFor(const std::string& grant_type, const ParameterList& parameters)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  HttpResponse ExchangeCode(const ParameterList& parameters) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  HttpResponse Refresh(const ParameterList& parameters) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  HttpResponse RefreshByAccessToken(const ParameterList& parameters) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  HttpResponse SecondExchange(const HttpRequest& request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  HttpResponse Revoke(const HttpRequest& request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  HttpResponse Introspect(const HttpRequest& request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  HttpResponse Userinfo(const HttpRequest& request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  HttpResponse Register(const HttpRequest& request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  HttpResponse WellKnown(const std::string& path) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Parameters of a request to the token endpoint and its like, under the standard's names, with the client checked.
  absl::StatusOr<ParameterList> Read(const HttpRequest& request, const std::map<std::string, std::string>& names,
                                     v1::OauthRequestFormat format) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  MockGrant NewGrant(const std::string& scope, int family, bool refreshable) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  HttpResponse Answer(const MockGrant& grant) const;
  HttpResponse Fail(int status, const std::string& error, const std::string& problem)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Works(const Token& token) const ABSL_SHARED_LOCKS_REQUIRED(mutex_);

  const MockProviderOptions options_;
  const std::function<absl::Time()> clock_;
  mutable absl::Mutex mutex_;
  std::map<std::string, Code> codes_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Token> access_tokens_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Token> refresh_tokens_ ABSL_GUARDED_BY(mutex_);
  std::set<int> ended_families_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> assertion_ids_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> registered_ ABSL_GUARDED_BY(mutex_);
  int families_ ABSL_GUARDED_BY(mutex_) = 0;
  int serial_ ABSL_GUARDED_BY(mutex_) = 0;
  int exchanges_ ABSL_GUARDED_BY(mutex_) = 0;
  int refreshes_ ABSL_GUARDED_BY(mutex_) = 0;
  int reuses_ ABSL_GUARDED_BY(mutex_) = 0;
  int revocations_ ABSL_GUARDED_BY(mutex_) = 0;
  std::string last_problem_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROTOCOL_MOCK_PROVIDER_H_
