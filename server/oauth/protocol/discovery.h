#ifndef KEYFERRY_SERVER_OAUTH_PROTOCOL_DISCOVERY_H_
#define KEYFERRY_SERVER_OAUTH_PROTOCOL_DISCOVERY_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "keyferry/v1/oauth_providers.pb.h"
#include "server/http/http_client.h"

namespace keyferry::server {

// What an authorization server says of itself. Lists are empty where it says nothing.
struct DiscoveredMetadata {
  // As asked for, with the fields that were empty filled; `issuer` is set whenever a server was asked.
  v1::OauthEndpoints endpoints;
  // The protected resource's own identifier (RFC 9728), for `authorization.resources`; "" without one.
  std::string resource;
  // Of the protected resource if it names any, else of the authorization server.
  std::vector<std::string> scopes;
  // Of the token endpoint, in the server's order; those that Keyferry does not know are left out. RFC 8414's default,
  // client_secret_basic, is filled in.
  std::vector<v1::OauthClientAuthentication> authentication_methods;
  std::vector<v1::OauthSigningAlgorithm> signing_algorithms;
  std::vector<v1::OauthGrantType> grant_types;
  // S256 if the server says so, else UNSPECIFIED: metadata that is silent does not mean that PKCE is refused.
  v1::OauthPkce pkce = v1::OAUTH_PKCE_UNSPECIFIED;
  // The callback carries the issuer (RFC 9207).
  bool issuer_in_callback = false;
  // What a person should know, e.g. that the server does not support PKCE.
  std::vector<std::string> notes;
};

// Reads the metadata of a protected resource (RFC 9728), where `endpoints.resource` is set and `issuer` is not, and
// then that of the authorization server: RFC 8414, section 3, and where that is not found OpenID Connect Discovery 1.0,
// section 4, also in its form for issuers with a path. Without either there is nothing to ask, and the endpoints are
// returned as they are.
//
// A document counts only if it says the very identifier that was asked for (RFC 8414, section 3.3; RFC 9728, section
// 3.3), so that no server can speak for another, and only https endpoints are taken. Documents are at most 256 KiB.
// `timeout` is for all requests together.
//
// FAILED_PRECONDITION: a document is missing or wrong, the message says which and what to do. UNAVAILABLE: no answer,
// or one of 5xx or 429. `done` may be called before this returns. The client must outlive the call.
void Discover(HttpClient* http, const v1::OauthEndpoints& endpoints, absl::Duration timeout,
              std::function<void(absl::StatusOr<DiscoveredMetadata>)> done);

// The method to use, of those that the server takes: PRIVATE_KEY_JWT or TLS_CLIENT_AUTH only where `client` asks for
// it; with a secret Basic before the body; without one NONE. UNSPECIFIED if none fits.
v1::OauthClientAuthentication PickAuthentication(const DiscoveredMetadata& metadata, const v1::OauthClient& client);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROTOCOL_DISCOVERY_H_
