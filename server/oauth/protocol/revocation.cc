#include "server/oauth/protocol/revocation.h"

#include <utility>

#include "server/oauth/protocol/deadline.h"
#include "server/oauth/protocol/error_response.h"
#include "server/oauth/protocol/requests.h"
#include "server/oauth/protocol/url_template.h"

namespace keyferry::server {
namespace {

// RFC 7009 answers 200 for a token that is gone already; others have words of their own for it.
bool IsGone(absl::string_view code) {
  return code == "invalid_token" || code == "invalid_grant" || code == "token_revoked" || code == "token_expired";
}

class Revocation : public std::enable_shared_from_this<Revocation> {
 public:
  Revocation(HttpClient* http, std::shared_ptr<const ProviderDefinition> definition, TokenClient::RefreshInput tokens,
             RequestContext context, absl::Duration timeout, std::function<void(absl::Status)> done)
      : http_(http),
        definition_(std::move(definition)),
        tokens_(std::move(tokens)),
        context_(std::move(context)),
        deadline_(timeout),
        done_(std::move(done)) {}

  void Start(bool refresh_token) {
    absl::StatusOr<HttpRequest> request =
        RevocationRequest(context_, refresh_token ? tokens_.refresh_token : tokens_.access_token, refresh_token);
    if (!request.ok()) return done_(absl::FailedPreconditionError(request.status().message()));
    http_->Send(*std::move(request), deadline_.Remaining(),
                [self = shared_from_this(), refresh_token](absl::StatusOr<HttpResponse> response) {
                  self->OnResponse(std::move(response), refresh_token);
                });
  }

 private:
  void OnResponse(absl::StatusOr<HttpResponse> response, bool refresh_token) {
    TokenError error;
    if (!response.ok()) {
      error = ErrorOfSending(response.status());
    } else if (!ReadError(*response, &error)) {
      return done_(absl::OkStatus());
    }
    if (error.kind == TokenErrorKind::kTemporary || error.kind == TokenErrorKind::kRateLimited) {
      return done_(absl::UnavailableError(error.message));
    }
    if (IsGone(error.code)) return done_(absl::OkStatus());
    if (error.code == "unsupported_token_type" && refresh_token && !tokens_.access_token.empty()) {
      return Start(/*refresh_token=*/false);
    }
    done_(absl::FailedPreconditionError(error.message));
  }

  // Whether the response is an error.
  bool ReadError(const HttpResponse& response, TokenError* error) const {
    const v1::OauthResponse& rules = context_.provider().token().response();
    const std::vector<absl::string_view> secrets = {context_.provider().client().client_secret(),
                                                    tokens_.refresh_token.Expose(), tokens_.access_token.Expose()};
    if (response.status < 200 || response.status > 299) {
      *error = ReadErrorResponse(response, rules, context_.now, secrets);
      return true;
    }
    // Errors inside of 200, where the definition says how they look; the body is free otherwise.
    const absl::StatusOr<Document> document = Document::ParseResponse(response, rules.format());
    if (rules.success_path().empty() || !document.ok() || document->Find(rules.success_path()) == nullptr ||
        document->TextAt(rules.success_path()) == rules.success_value()) {
      return false;
    }
    *error = ErrorOfDocument(*document, response, rules, context_.now, secrets);
    return true;
  }

  HttpClient* const http_;
  const std::shared_ptr<const ProviderDefinition> definition_;
  const TokenClient::RefreshInput tokens_;
  const RequestContext context_;
  const Deadline deadline_;
  const std::function<void(absl::Status)> done_;
};

}  // namespace

void RevokeToken(HttpClient* http, std::shared_ptr<const ProviderDefinition> definition,
                 TokenClient::RefreshInput tokens, absl::Time now, absl::Duration timeout,
                 std::function<void(absl::Status)> done) {
  const v1::OauthProvider& provider = definition->provider;
  const bool refresh_token = !tokens.refresh_token.empty();
  if (provider.endpoints().revocation_url().empty() || (!refresh_token && tokens.access_token.empty())) {
    return done(absl::OkStatus());
  }
  absl::StatusOr<UrlVariables> variables = ResolveUrlVariables(provider, tokens.variables, "url_variables");
  if (!variables.ok()) return done(absl::FailedPreconditionError(variables.status().message()));
  RequestContext context{definition.get(), *std::move(variables), now};
  std::make_shared<Revocation>(http, std::move(definition), std::move(tokens), std::move(context), timeout,
                               std::move(done))
      ->Start(refresh_token);
}

}  // namespace keyferry::server
