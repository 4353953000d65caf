#ifndef KEYFERRY_SERVER_OAUTH_PROTOCOL_CATALOGUE_OF_QUIRKS_H_
#define KEYFERRY_SERVER_OAUTH_PROTOCOL_CATALOGUE_OF_QUIRKS_H_

#include <string>

#include "keyferry/v1/oauth_providers.pb.h"

namespace keyferry::server {

// How many ways of real providers to differ from the standard there are in the catalogue.
constexpr int kQuirkCount = 33;

// The definition that copes with a quirk (1 to kQuirkCount), for a mock provider at https://provider.test that acts it
// out. Aborts for another row.
v1::OauthProvider QuirkDefinition(int row);

// A few words on it, e.g. "client authenticates in the body".
std::string QuirkName(int row);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROTOCOL_CATALOGUE_OF_QUIRKS_H_
