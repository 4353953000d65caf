#ifndef KEYFERRY_SERVER_OAUTH_PROVIDERS_AUTHORIZATION_FIELDS_H_
#define KEYFERRY_SERVER_OAUTH_PROVIDERS_AUTHORIZATION_FIELDS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "keyferry/v1/oauth_providers.pb.h"
#include "server/oauth/providers/field_checks.h"

namespace keyferry::server {

// Parts of CheckDefinition (definition.h).

// What the browser is sent to. Parameters may not replace those that protect the flow: state, redirect_uri, the code
// challenge, and client_id and response_type, under whatever name the provider has for them.
absl::Status CheckAuthorization(const v1::OauthAuthorization& authorization, const Placeholders& placeholders);

// The claims of an assertion grant.
absl::Status CheckAssertion(const v1::OauthAssertion& assertion, const Placeholders& placeholders);

// The name of a URL variable: `[a-z][a-z0-9_]*`, at most 63 bytes, and none that stands for something else.
absl::Status CheckVariableId(absl::string_view name, absl::string_view field);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROVIDERS_AUTHORIZATION_FIELDS_H_
