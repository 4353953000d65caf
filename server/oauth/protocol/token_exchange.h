#ifndef KEYFERRY_SERVER_OAUTH_PROTOCOL_TOKEN_EXCHANGE_H_
#define KEYFERRY_SERVER_OAUTH_PROTOCOL_TOKEN_EXCHANGE_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/http/http_client.h"
#include "server/oauth/protocol/deadline.h"
#include "server/oauth/protocol/requests.h"
#include "server/oauth/protocol/token_client.h"
#include "server/oauth/protocol/token_response.h"

namespace keyferry::server {

// One way to tokens, from the request to the grant: the exchange, the second exchange where there is one, the lifetime
// by introspection where nothing else says it, and the account. Its parts follow one another, on whatever thread
// answers. Held by its requests; calls `done` once.
//
// A grant is never given up for what follows it: without introspection the lifetime stays unknown, without userinfo the
// account stays empty. A second exchange that fails for a moment is tried once more, because what the first one gave
// may not be given again; where it fails nevertheless, the error carries the refresh token that the first one gave.
class TokenExchange : public std::enable_shared_from_this<TokenExchange> {
 public:
  enum Kind {
    // First tokens: the account is asked for.
    kFirst,
    // The same request again, for an existing connection.
    kAnew,
    kRefresh,
    kRefreshByAccessToken,
  };

  TokenExchange(HttpClient* http, std::function<absl::Time()> clock,
                std::shared_ptr<const ProviderDefinition> definition, UrlVariables variables, absl::Duration timeout,
                TokenClient::Done done);

  const RequestContext& context() const { return context_; }
  // Not to be repeated in an error.
  void AddSecret(absl::string_view secret) { secrets_.push_back(storage::SecretBytes::CopyOf(secret)); }
  void set_metadata(std::map<std::string, std::string> metadata) { metadata_ = std::move(metadata); }

  void Start(absl::StatusOr<HttpRequest> request, Kind kind);

 private:
  using Then = void (TokenExchange::*)(absl::StatusOr<HttpResponse> response);

  void Send(absl::StatusOr<HttpRequest> request, absl::Duration timeout, Then then);
  TokenResult Read(const absl::StatusOr<HttpResponse>& response, const v1::OauthResponse& rules) const;
  void OnFirst(absl::StatusOr<HttpResponse> response);
  void SendSecond();
  void OnSecond(absl::StatusOr<HttpResponse> response);
  // What the failure of a second exchange means for a connection whose first one succeeded.
  TokenError AfterFirst(TokenError error) const;
  void FindLifetime();
  void OnIntrospection(absl::StatusOr<HttpResponse> response);
  void FindAccount();
  void OnUserinfo(absl::StatusOr<HttpResponse> response);
  void Fail(TokenError error);
  void Finish();

  // Of `refresh` for refreshes, and else of `token`.
  const v1::OauthResponse& FirstRules() const;
  bool HasSecond() const;
  std::vector<absl::string_view> Secrets() const;

  HttpClient* const http_;
  const std::function<absl::Time()> clock_;
  const std::shared_ptr<const ProviderDefinition> definition_;
  RequestContext context_;
  const Deadline deadline_;
  TokenClient::Done done_;
  Kind kind_ = kFirst;
  std::vector<storage::SecretBytes> secrets_;
  std::map<std::string, std::string> metadata_;
  TokenGrant grant_;
  int second_tries_ = 0;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROTOCOL_TOKEN_EXCHANGE_H_
