#include "server/oauth/protocol/token_exchange.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "server/oauth/protocol/document.h"
#include "server/oauth/protocol/encoding.h"
#include "server/oauth/protocol/error_response.h"
#include "server/oauth/protocol/expiry.h"

namespace keyferry::server {
namespace {

// What only adds to a grant that is there must not hold it up for long.
constexpr absl::Duration kExtraTimeout = absl::Seconds(5);
constexpr int kSecondTries = 2;
constexpr size_t kMaxAccountBytes = 256;

absl::Duration DurationOf(const google::protobuf::Duration& duration) {
  const absl::Duration value = absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
  return value > absl::ZeroDuration() ? value : absl::InfiniteDuration();
}

// Whether one more try may help.
bool MayPass(const TokenError& error) {
  return error.kind == TokenErrorKind::kTemporary || error.kind == TokenErrorKind::kRateLimited;
}

std::string AccountOf(const Document& document, const std::string& path) {
  std::vector<std::string> paths = {"email", "preferred_username", "login", "name", "sub"};
  if (!path.empty()) paths = {path};
  for (const std::string& one : paths) {
    const absl::string_view text = document.TextAt(one);
    if (text.empty() || text.size() > kMaxAccountBytes || !IsUtf8(text)) continue;
    if (std::none_of(text.begin(), text.end(), absl::ascii_iscntrl)) return std::string(text);
  }
  return "";
}

}  // namespace

TokenExchange::TokenExchange(HttpClient* http, std::function<absl::Time()> clock,
                             std::shared_ptr<const ProviderDefinition> definition, UrlVariables variables,
                             absl::Duration timeout, TokenClient::Done done)
    : http_(http),
      clock_(std::move(clock)),
      definition_(std::move(definition)),
      context_{definition_.get(), std::move(variables), clock_()},
      deadline_(timeout),
      done_(std::move(done)) {}

const v1::OauthResponse& TokenExchange::FirstRules() const {
  const v1::OauthProvider& provider = context_.provider();
  if (kind_ == kRefresh || kind_ == kRefreshByAccessToken) {
    if (provider.refresh().has_response()) return provider.refresh().response();
    if (kind_ == kRefreshByAccessToken && provider.token().has_second()) return provider.token().second().response();
  }
  return provider.token().response();
}

bool TokenExchange::HasSecond() const {
  return context_.provider().token().has_second() && kind_ != kRefreshByAccessToken;
}

std::vector<absl::string_view> TokenExchange::Secrets() const {
  std::vector<absl::string_view> views = {context_.provider().client().client_secret()};
  for (const storage::SecretBytes& secret : secrets_) views.push_back(secret.Expose());
  return views;
}

void TokenExchange::Start(absl::StatusOr<HttpRequest> request, Kind kind) {
  kind_ = kind;
  Send(std::move(request), deadline_.Remaining(), &TokenExchange::OnFirst);
}

void TokenExchange::Send(absl::StatusOr<HttpRequest> request, absl::Duration timeout, Then then) {
  if (!request.ok()) return (this->*then)(request.status());
  http_->Send(*std::move(request), timeout, [self = shared_from_this(), then](absl::StatusOr<HttpResponse> response) {
    ((*self).*then)(std::move(response));
  });
}

TokenResult TokenExchange::Read(const absl::StatusOr<HttpResponse>& response, const v1::OauthResponse& rules) const {
  if (!response.ok()) return ErrorOfSending(response.status());
  ResponseRules all;
  all.response = rules;
  all.scope_separator = context_.provider().authorization().scope_separator();
  return ReadTokenResponse(*response, all, clock_(), Secrets());
}

void TokenExchange::OnFirst(absl::StatusOr<HttpResponse> response) {
  TokenResult result = Read(response, FirstRules());
  if (auto* error = absl::get_if<TokenError>(&result)) return Fail(std::move(*error));
  grant_ = absl::get<TokenGrant>(std::move(result));
  // What the callback carried, unless the response says the same thing anew.
  for (auto& [name, value] : metadata_) grant_.metadata.emplace(name, std::move(value));
  HasSecond() ? SendSecond() : FindLifetime();
}

void TokenExchange::SendSecond() {
  ++second_tries_;
  AddSecret(grant_.access_token.Expose());
  Send(SecondRequest(context_, grant_.access_token), deadline_.Remaining(), &TokenExchange::OnSecond);
}

void TokenExchange::OnSecond(absl::StatusOr<HttpResponse> response) {
  if (second_tries_ < kSecondTries && deadline_.Remaining() > absl::ZeroDuration()) {
    const bool passing = response.ok() ? response->status >= 500 : MayPass(ErrorOfSending(response.status()));
    if (passing) return SendSecond();
  }
  TokenResult result = Read(response, context_.provider().token().second().response());
  if (auto* error = absl::get_if<TokenError>(&result)) return Fail(AfterFirst(std::move(*error)));
  TokenGrant second = absl::get<TokenGrant>(std::move(result));
  grant_.access_token = std::move(second.access_token);
  grant_.lifetime = second.lifetime;
  if (!second.refresh_token.empty()) grant_.refresh_token = std::move(second.refresh_token);
  if (!second.scopes.empty()) grant_.scopes = std::move(second.scopes);
  for (auto& [name, value] : second.metadata) grant_.metadata[name] = std::move(value);
  FindLifetime();
}

TokenError TokenExchange::AfterFirst(TokenError error) const {
  if (kind_ == kFirst) return error;
  if (error.rotated_refresh_token == nullptr && !grant_.refresh_token.empty()) {
    error.rotated_refresh_token =
        std::make_shared<const storage::SecretBytes>(storage::SecretBytes::CopyOf(grant_.refresh_token.Expose()));
  }
  // The first exchange shows that what was granted stands.
  if (error.kind == TokenErrorKind::kInvalidGrant) {
    error.kind = TokenErrorKind::kRejected;
    error.message =
        "the provider refused, in the second exchange, the token that it gave in the first; correct `token.second` in "
        "the provider's definition";
  }
  return error;
}

void TokenExchange::FindLifetime() {
  const v1::OauthToken& token = context_.provider().token();
  if (grant_.lifetime == absl::InfiniteDuration() && token.second().has_lifetime()) {
    grant_.lifetime = DurationOf(token.second().lifetime());
  }
  if (grant_.lifetime == absl::InfiniteDuration() && token.has_lifetime())
    grant_.lifetime = DurationOf(token.lifetime());
  if (grant_.lifetime != absl::InfiniteDuration() || !token.introspect() ||
      context_.provider().endpoints().introspection_url().empty()) {
    return FindAccount();
  }
  Send(IntrospectionRequest(context_, grant_.access_token), std::min(deadline_.Remaining(), kExtraTimeout),
       &TokenExchange::OnIntrospection);
}

void TokenExchange::OnIntrospection(absl::StatusOr<HttpResponse> response) {
  if (response.ok() && response->status == 200) {
    const absl::StatusOr<Document> document = Document::ParseJson(response->body);
    if (document.ok() && document->TextAt("active") == "true") {
      grant_.lifetime = LifetimeOf(document->TextAt("exp"), v1::OAUTH_EXPIRY_FORMAT_UNIX_SECONDS, clock_());
    }
  }
  FindAccount();
}

void TokenExchange::FindAccount() {
  if (kind_ != kFirst || context_.provider().endpoints().userinfo_url().empty()) return Finish();
  Send(UserinfoRequest(context_, grant_.access_token), std::min(deadline_.Remaining(), kExtraTimeout),
       &TokenExchange::OnUserinfo);
}

void TokenExchange::OnUserinfo(absl::StatusOr<HttpResponse> response) {
  if (response.ok() && response->status == 200) {
    const absl::StatusOr<Document> document = Document::ParseJson(response->body);
    if (document.ok()) grant_.account = AccountOf(*document, context_.provider().account_path());
  }
  Finish();
}

void TokenExchange::Fail(TokenError error) { std::exchange(done_, nullptr)(std::move(error)); }

void TokenExchange::Finish() { std::exchange(done_, nullptr)(std::move(grant_)); }

}  // namespace keyferry::server
