#include "server/oauth/protocol/client_authentication.h"

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/errors.h"
#include "server/oauth/protocol/encoding.h"
#include "server/oauth/protocol/jws.h"
#include "server/status_macros.h"
#include "storage/crypto/secret_bytes.h"

namespace keyferry::server {
namespace {

constexpr absl::Duration kAssertionLifetime = absl::Minutes(1);
constexpr size_t kAssertionIdBytes = 16;
constexpr char kAssertionType[] = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

void SetBasic(std::string user, std::string password, TokenRequest* request) {
  std::string pair = absl::StrCat(user, ":", password);
  request->headers.emplace_back("Authorization", absl::StrCat("Basic ", Base64(pair)));
  for (std::string* text : {&pair, &user, &password}) storage::WipeString(*text);
}

absl::Status AddAssertion(const ProviderDefinition& definition, absl::string_view token_url, absl::Time now,
                          TokenRequest* request) {
  const v1::OauthClient& client = definition.provider.client();
  const auto key = storage::SigningKey::FromPkcs8(definition.signing_key.Expose());
  if (!key.ok()) {
    return InvalidField("client.authentication", "needs a signing key, and there is none",
                        "Create the provider anew, so that Keyferry makes one.");
  }
  JwtClaims claims;
  claims.issuer = claims.subject = client.client_id();
  claims.audience = client.assertion_audience().empty() ? std::string(token_url) : client.assertion_audience();
  claims.issued_at = now;
  claims.expires_at = now + kAssertionLifetime;
  claims.id = Base64Url(storage::RandomString(kAssertionIdBytes));
  ASSIGN_OR_RETURN(std::string assertion, SignJwt(**key, client.signing_algorithm(), /*key_id=*/"", claims));
  request->parameters.Add("client_id", client.client_id());
  request->parameters.Add("client_assertion_type", kAssertionType);
  request->parameters.Add("client_assertion", assertion);
  storage::WipeString(assertion);
  return absl::OkStatus();
}

absl::Status AddIdentity(const v1::OauthClient& client, TokenRequest* request) {
  if (client.certificate().empty() || client.certificate_private_key().empty()) {
    return InvalidField("client.certificate", "is missing, with its key",
                        "Set `certificate` and `certificate_private_key`, or another method.");
  }
  auto identity = std::make_shared<HttpClientIdentity>();
  identity->certificate = client.certificate();
  identity->private_key = storage::SecretBytes::CopyOf(client.certificate_private_key());
  request->identity = std::move(identity);
  request->parameters.Add("client_id", client.client_id());
  return absl::OkStatus();
}

}  // namespace

v1::OauthClientAuthentication AuthenticationOf(const v1::OauthClient& client) {
  if (client.authentication() != v1::OAUTH_CLIENT_AUTHENTICATION_UNSPECIFIED) return client.authentication();
  return client.client_secret().empty() ? v1::OAUTH_CLIENT_AUTHENTICATION_NONE
                                        : v1::OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_BASIC;
}

absl::Status AuthenticateClient(const ProviderDefinition& provider, absl::string_view token_url, absl::Time now,
                                TokenRequest* request) {
  const v1::OauthClient& client = provider.provider.client();
  switch (AuthenticationOf(client)) {
    case v1::OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_BASIC:
      SetBasic(FormEscape(client.client_id()), FormEscape(client.client_secret()), request);
      return absl::OkStatus();
    case v1::OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_BASIC_RAW:
      SetBasic(client.client_id(), client.client_secret(), request);
      return absl::OkStatus();
    case v1::OAUTH_CLIENT_AUTHENTICATION_SECRET_AS_BASIC_USER:
      SetBasic(client.client_secret(), "", request);
      return absl::OkStatus();
    case v1::OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_POST:
      request->parameters.Add("client_id", client.client_id());
      request->parameters.Add("client_secret", client.client_secret());
      return absl::OkStatus();
    case v1::OAUTH_CLIENT_AUTHENTICATION_PRIVATE_KEY_JWT:
      return AddAssertion(provider, token_url, now, request);
    case v1::OAUTH_CLIENT_AUTHENTICATION_TLS_CLIENT_AUTH:
      return AddIdentity(client, request);
    default:
      // An assertion or a code may say enough; RFC 6749 wants the id of a public client.
      if (!client.client_id().empty()) request->parameters.Add("client_id", client.client_id());
      return absl::OkStatus();
  }
}

}  // namespace keyferry::server
