#include "server/oauth/protocol/quirk_world.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/oauth/protocol/encoding.h"
#include "storage/crypto/sha256.h"

namespace keyferry::server {
namespace {

constexpr char kRedirectUri[] = "https://keyferry.test/oauth/callback";
constexpr absl::Duration kTimeout = absl::Seconds(10);

TokenResult Browser(absl::string_view problem) {
  TokenError error;
  error.kind = TokenErrorKind::kRejected;
  error.message = absl::StrCat("browser: ", problem);
  return error;
}

}  // namespace

QuirkWorld::QuirkWorld(v1::OauthProvider provider, MockProviderOptions options)
    : now_(std::make_shared<absl::Time>(absl::FromUnixSeconds(1'790'000'000))),
      provider_(std::make_unique<MockProvider>(std::move(options), [now = now_] { return *now; })),
      http_(std::make_unique<FakeHttpClient>(provider_->Server())),
      client_(MakeTokenClient(http_.get(), [now = now_] { return *now; })),
      definition_(std::make_shared<ProviderDefinition>()) {
  definition_->provider = std::move(provider);
}

TokenResult QuirkWorld::Connect(const UrlVariables& variables) {
  const bool pkce = definition_->provider.authorization().pkce() != v1::OAUTH_PKCE_OFF;
  const std::string verifier = pkce ? Base64Url(storage::RandomString(32)) : "";
  AuthorizationRequest request;
  request.redirect_uri = kRedirectUri;
  request.state = "state-of-this-attempt";
  request.code_challenge = pkce ? Base64Url(storage::View(storage::Sha256({verifier}))) : "";
  request.variables = variables;
  const auto url = AuthorizationUrl(definition_->provider, request);
  if (!url.ok()) return Browser(url.status().message());
  authorization_url_ = *url;
  const auto back = provider_->Consent(*url);
  if (!back.ok()) return Browser(back.status().message());
  const auto query = ParseCallbackQuery(absl::string_view(*back).substr(back->find('?') + 1));
  if (!query.ok()) return Browser(query.status().message());
  callback_ = *query;
  EXPECT_EQ(callback_.state, "state-of-this-attempt");
  const absl::Status taken = TakeCode(definition_->provider, &callback_);
  if (!taken.ok()) return Browser(taken.message());

  TokenClient::CodeExchange exchange;
  exchange.code = callback_.code;
  exchange.code_verifier = storage::SecretBytes::CopyOf(verifier);
  exchange.redirect_uri = kRedirectUri;
  exchange.variables = variables;
  for (const std::string& name : definition_->provider.authorization().metadata_parameters()) {
    if (callback_.parameters.count(name) != 0) exchange.metadata[name] = callback_.parameters.at(name);
  }
  TokenResult result;
  client_->ExchangeCode(definition_, std::move(exchange), kTimeout, [&](TokenResult r) { result = std::move(r); });
  return result;
}

TokenResult QuirkWorld::Refresh(const std::string& refresh_token, const std::string& access_token,
                                const UrlVariables& variables) {
  TokenClient::RefreshInput input;
  input.refresh_token = storage::SecretBytes::CopyOf(refresh_token);
  input.access_token = storage::SecretBytes::CopyOf(access_token);
  input.variables = variables;
  TokenResult result;
  client_->Refresh(definition_, std::move(input), kTimeout, [&](TokenResult r) { result = std::move(r); });
  return result;
}

TokenResult QuirkWorld::RequestWithoutPerson() {
  TokenResult result;
  client_->RequestWithoutPerson(definition_, {}, {}, kTimeout, [&](TokenResult r) { result = std::move(r); });
  return result;
}

absl::Status QuirkWorld::Revoke(const std::string& refresh_token, const std::string& access_token,
                                const UrlVariables& variables) {
  TokenClient::RefreshInput input;
  input.refresh_token = storage::SecretBytes::CopyOf(refresh_token);
  input.access_token = storage::SecretBytes::CopyOf(access_token);
  input.variables = variables;
  absl::Status result = absl::UnknownError("not called");
  client_->Revoke(definition_, std::move(input), kTimeout, [&](absl::Status status) { result = std::move(status); });
  return result;
}

TokenGrant GrantOf(TokenResult result) {
  if (auto* error = absl::get_if<TokenError>(&result)) {
    ADD_FAILURE() << "no grant: " << error->message;
    return {};
  }
  return absl::get<TokenGrant>(std::move(result));
}

TokenError ErrorOf(TokenResult result) {
  if (absl::holds_alternative<TokenGrant>(result)) {
    ADD_FAILURE() << "a grant, where an error was expected";
    return {};
  }
  return absl::get<TokenError>(std::move(result));
}

HttpResponse Answer(int status, const std::string& type, const std::string& body) {
  HttpResponse response;
  response.status = status;
  response.headers = {{"Content-Type", type}};
  response.body = body;
  return response;
}

}  // namespace keyferry::server
