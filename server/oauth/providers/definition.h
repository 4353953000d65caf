#ifndef KEYFERRY_SERVER_OAUTH_PROVIDERS_DEFINITION_H_
#define KEYFERRY_SERVER_OAUTH_PROVIDERS_DEFINITION_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "keyferry/v1/oauth_providers.pb.h"

namespace keyferry::server {

// What every definition must be, whatever it is completed with later: each field on its own and those that belong
// together. Output-only fields are not looked at. INVALID_ARGUMENT names the field, e.g.
// "oauth_provider.token.headers[2].name"; no message holds a secret.
absl::Status CheckDefinition(const v1::OauthProvider& provider);

// That nothing is missing for the grant to work: to be asked once endpoints were discovered and the client registered.
// `before_registration`: the client is still to be registered.
absl::Status CheckComplete(const v1::OauthProvider& provider, bool before_registration);

// Whether Keyferry signs assertions for it, and so keeps a key.
bool NeedsSigningKey(const v1::OauthProvider& provider);

// As stored: without output-only fields and what is for the creation alone, with AUTHORIZATION_CODE where no grant type
// is named.
void NormalizeDefinition(v1::OauthProvider* provider);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROVIDERS_DEFINITION_H_
