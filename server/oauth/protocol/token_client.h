#ifndef KEYFERRY_SERVER_OAUTH_PROTOCOL_TOKEN_CLIENT_H_
#define KEYFERRY_SERVER_OAUTH_PROTOCOL_TOKEN_CLIENT_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/variant.h"
#include "keyferry/v1/oauth_providers.pb.h"
#include "storage/crypto/secret_bytes.h"

namespace keyferry::server {

// A provider with its secrets, as a request needs it. Wiped with its end; shared, never copied.
struct ProviderDefinition {
  ProviderDefinition() = default;
  ProviderDefinition(const ProviderDefinition&) = delete;
  ProviderDefinition& operator=(const ProviderDefinition&) = delete;
  ~ProviderDefinition();

  v1::OauthProvider provider;
  // PKCS #8 DER; empty if Keyferry signs nothing for it.
  storage::SecretBytes signing_key;
};

// Values of a connection's URL variables.
using UrlVariables = std::map<std::string, std::string>;

// What a token endpoint granted.
struct TokenGrant {
  storage::SecretBytes access_token;
  // Empty if none came: the one that there was stays.
  storage::SecretBytes refresh_token;
  // From the moment of the answer; infinite if it is not known.
  absl::Duration lifetime = absl::InfiniteDuration();
  // Empty if the answer names none.
  std::vector<std::string> scopes;
  std::map<std::string, std::string> metadata;
  // As userinfo names it; "" if there is none. Of a code's exchange and of client credentials alone.
  std::string account;
};

enum class TokenErrorKind {
  // The refresh token, code or assertion is no longer taken (RFC 6749, section 5.2, `invalid_grant`): consent again.
  kInvalidGrant,
  // The provider refuses the request as it is: the definition, the client or its secret is wrong.
  kRejected,
  // No answer, a 5xx, or something that is no token response: it may work later.
  kTemporary,
  // 429: after `retry_after`.
  kRateLimited,
};

struct TokenError {
  TokenErrorKind kind = TokenErrorKind::kTemporary;
  // 0 if the provider did not say.
  absl::Duration retry_after;
  // The provider's error code, "" if none; printable ASCII of at most 64 bytes.
  std::string code;
  // What happened and what to do, in words. Holds no secret.
  std::string message;
  // The refresh token that takes the place of the one that was sent, from an exchange that succeeded before, or apart
  // from, what failed: to be kept, since the provider may take no other any more. Null if none came.
  std::shared_ptr<const storage::SecretBytes> rotated_refresh_token;
};

using TokenResult = absl::variant<TokenGrant, TokenError>;

// Speaks to the token, revocation, introspection and userinfo endpoints of providers, as their definitions say. Keeps
// no state of its own. Thread-safe. Each call ends within `timeout`, whatever the number of requests that it takes.
class TokenClient {
 public:
  using Done = std::function<void(TokenResult)>;

  virtual ~TokenClient() = default;

  struct CodeExchange {
    std::string code;
    // Empty if PKCE is off.
    storage::SecretBytes code_verifier;
    std::string redirect_uri;
    UrlVariables variables;
    // Kept from the callback.
    std::map<std::string, std::string> metadata;
  };
  virtual void ExchangeCode(std::shared_ptr<const ProviderDefinition> provider, CodeExchange exchange,
                            absl::Duration timeout, Done done) = 0;

  struct RefreshInput {
    storage::SecretBytes refresh_token;
    // For providers that are refreshed by it.
    storage::SecretBytes access_token;
    UrlVariables variables;
    // Instead of the provider's, if not empty. Sent only with grants that are asked for anew.
    std::vector<std::string> scopes;
  };
  // A fresh access token for an existing connection: by its refresh token, by its access token, or, for grants without
  // a person, by asking anew.
  virtual void Refresh(std::shared_ptr<const ProviderDefinition> provider, RefreshInput input, absl::Duration timeout,
                       Done done) = 0;

  // The first tokens of a grant without a person.
  virtual void RequestWithoutPerson(std::shared_ptr<const ProviderDefinition> provider, const UrlVariables& variables,
                                    const std::vector<std::string>& scopes, absl::Duration timeout, Done done) = 0;

  // Revokes the refresh token, or the access token where there is none. OK also where the provider has no revocation
  // URL or does not know the token; UNAVAILABLE: try again; FAILED_PRECONDITION: the provider refuses.
  virtual void Revoke(std::shared_ptr<const ProviderDefinition> provider, RefreshInput tokens, absl::Duration timeout,
                      std::function<void(absl::Status)> done) = 0;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROTOCOL_TOKEN_CLIENT_H_
