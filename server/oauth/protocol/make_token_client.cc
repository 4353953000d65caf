#include "server/oauth/protocol/make_token_client.h"

#include <utility>

#include "server/oauth/protocol/revocation.h"
#include "server/oauth/protocol/token_exchange.h"
#include "server/oauth/protocol/url_template.h"

namespace keyferry::server {
namespace {

TokenError NothingToRefresh() {
  TokenError error;
  error.kind = TokenErrorKind::kInvalidGrant;
  error.message = "there is no token to refresh with; connect again";
  return error;
}

class HttpTokenClient final : public TokenClient {
 public:
  HttpTokenClient(HttpClient* http, std::function<absl::Time()> clock) : http_(http), clock_(std::move(clock)) {}

  void ExchangeCode(std::shared_ptr<const ProviderDefinition> provider, CodeExchange exchange, absl::Duration timeout,
                    Done done) override {
    auto flow = Begin(std::move(provider), exchange.variables, timeout, std::move(done));
    if (flow == nullptr) return;
    flow->AddSecret(exchange.code);
    flow->AddSecret(exchange.code_verifier.Expose());
    flow->set_metadata(exchange.metadata);
    flow->Start(CodeRequest(flow->context(), exchange), TokenExchange::kFirst);
    storage::WipeString(exchange.code);
  }

  void Refresh(std::shared_ptr<const ProviderDefinition> provider, RefreshInput input, absl::Duration timeout,
               Done done) override {
    const bool anew = IsWithoutPerson(provider->provider);
    const v1::OauthRefreshMethod method = provider->provider.refresh().method();
    const bool by_access_token = method == v1::OAUTH_REFRESH_METHOD_ACCESS_TOKEN;
    if (!anew && (method == v1::OAUTH_REFRESH_METHOD_NONE ||
                  (by_access_token ? input.access_token : input.refresh_token).empty())) {
      return done(NothingToRefresh());
    }
    auto flow = Begin(std::move(provider), input.variables, timeout, std::move(done));
    if (flow == nullptr) return;
    flow->AddSecret(input.refresh_token.Expose());
    flow->AddSecret(input.access_token.Expose());
    if (anew) return flow->Start(GrantRequest(flow->context(), input.scopes), TokenExchange::kAnew);
    flow->Start(RefreshRequest(flow->context(), input),
                by_access_token ? TokenExchange::kRefreshByAccessToken : TokenExchange::kRefresh);
  }

  void RequestWithoutPerson(std::shared_ptr<const ProviderDefinition> provider, const UrlVariables& variables,
                            const std::vector<std::string>& scopes, absl::Duration timeout, Done done) override {
    auto flow = Begin(std::move(provider), variables, timeout, std::move(done));
    if (flow != nullptr) flow->Start(GrantRequest(flow->context(), scopes), TokenExchange::kFirst);
  }

  void Revoke(std::shared_ptr<const ProviderDefinition> provider, RefreshInput tokens, absl::Duration timeout,
              std::function<void(absl::Status)> done) override {
    RevokeToken(http_, std::move(provider), std::move(tokens), clock_(), timeout, std::move(done));
  }

 private:
  // Null, and `done` called, if the variables are wrong.
  std::shared_ptr<TokenExchange> Begin(std::shared_ptr<const ProviderDefinition> provider, const UrlVariables& given,
                                       absl::Duration timeout, Done done) {
    absl::StatusOr<UrlVariables> variables = ResolveUrlVariables(provider->provider, given, "url_variables");
    if (variables.ok()) {
      return std::make_shared<TokenExchange>(http_, clock_, std::move(provider), *std::move(variables), timeout,
                                             std::move(done));
    }
    TokenError error;
    error.kind = TokenErrorKind::kRejected;
    error.message = std::string(variables.status().message());
    done(std::move(error));
    return nullptr;
  }

  HttpClient* const http_;
  const std::function<absl::Time()> clock_;
};

}  // namespace

std::unique_ptr<TokenClient> MakeTokenClient(HttpClient* http, std::function<absl::Time()> clock) {
  return std::make_unique<HttpTokenClient>(http, std::move(clock));
}

}  // namespace keyferry::server
