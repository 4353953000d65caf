#ifndef KEYFERRY_SERVER_OAUTH_PROTOCOL_METADATA_DOCUMENT_H_
#define KEYFERRY_SERVER_OAUTH_PROTOCOL_METADATA_DOCUMENT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/oauth/protocol/discovery.h"
#include "server/oauth/protocol/document.h"

namespace keyferry::server {

// FAILED_PRECONDITION unless the identifier of an authorization server (RFC 8414, section 2) or a protected resource
// (RFC 9728, section 1.2) is an https URL without query and fragment. `what` begins the message.
absl::Status CheckIdentifier(absl::string_view identifier, absl::string_view what);

// Reads the metadata of the protected resource `resource` (RFC 9728, section 2): its scopes into `found`, and its first
// authorization server. FAILED_PRECONDITION if the document is of another resource, or names no server.
absl::Status ReadResourceMetadata(const Document& document, absl::string_view resource, DiscoveredMetadata* found,
                                  std::string* issuer);

// Reads the metadata of the authorization server `found->endpoints.issuer()` (RFC 8414, section 2) into what is empty
// of `found`. FAILED_PRECONDITION if the document is of another issuer, an endpoint is no https URL, or an endpoint
// that a connection needs is missing; `found` is then to be thrown away.
absl::Status ReadServerMetadata(const Document& document, DiscoveredMetadata* found);

// The method of that name in the registry of token endpoint authentication methods; UNSPECIFIED for any that Keyferry
// does not know.
v1::OauthClientAuthentication AuthenticationByName(absl::string_view name);
absl::string_view AuthenticationName(v1::OauthClientAuthentication method);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROTOCOL_METADATA_DOCUMENT_H_
