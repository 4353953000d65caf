#ifndef KEYFERRY_SERVER_OAUTH_PROTOCOL_MOCK_CLIENT_CHECK_H_
#define KEYFERRY_SERVER_OAUTH_PROTOCOL_MOCK_CLIENT_CHECK_H_

#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "keyferry/v1/oauth_providers.pb.h"
#include "server/http/http_client.h"
#include "server/oauth/protocol/parameters.h"

namespace keyferry::server {

// The client that a mock provider knows.
struct MockClient {
  std::string id = "client-1";
  std::string secret = "secret-of-client-1";
  v1::OauthClientAuthentication authentication = v1::OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_BASIC;
  // Registered key set, for PRIVATE_KEY_JWT and assertion grants.
  std::string jwks;
  std::string algorithm = "RS256";
  // PEM, for TLS_CLIENT_AUTH.
  std::string certificate;
};

// Whether the request comes from the client and says so by its method and no other. `parameters` are under the
// standard's names. `seen` are the ids of assertions that came before.
absl::Status CheckMockClient(const MockClient& client, const HttpRequest& request, const ParameterList& parameters,
                             const std::string& audience, absl::Time now, std::set<std::string>* seen);

// Whether a JWT is signed by the client's registered key and meant for the audience, now, once. `claims`, if not null,
// gets all claims that are text.
absl::Status CheckMockJwt(const MockClient& client, const std::string& jwt, const std::string& audience, absl::Time now,
                          std::set<std::string>* seen, ParameterList* claims);

// The same for a SAML assertion, in base64url.
absl::Status CheckMockSaml(const MockClient& client, const std::string& assertion, const std::string& audience,
                           absl::Time now, std::set<std::string>* seen);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROTOCOL_MOCK_CLIENT_CHECK_H_
