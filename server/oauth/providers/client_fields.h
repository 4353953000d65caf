#ifndef KEYFERRY_SERVER_OAUTH_PROVIDERS_CLIENT_FIELDS_H_
#define KEYFERRY_SERVER_OAUTH_PROVIDERS_CLIENT_FIELDS_H_

#include "absl/status/status.h"
#include "keyferry/v1/oauth_providers.pb.h"

namespace keyferry::server {

// Parts of CheckDefinition and CheckComplete (definition.h) about the client. No message shows a secret.

// Each field, and that the certificate and its key, if there are any, belong together.
absl::Status CheckClient(const v1::OauthClient& client);

// That there is a client id, and what its way of authentication needs.
absl::Status CheckClientComplete(const v1::OauthClient& client);

// Refuses what is of use at a creation alone, and a request for it would be forgotten without a word.
absl::Status CheckRegistersOnlyAtCreation(const v1::OauthProvider& provider);

void WipeRegistrationToken(v1::OauthClient* client);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROVIDERS_CLIENT_FIELDS_H_
