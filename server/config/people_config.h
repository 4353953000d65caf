#ifndef KEYFERRY_SERVER_CONFIG_PEOPLE_CONFIG_H_
#define KEYFERRY_SERVER_CONFIG_PEOPLE_CONFIG_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "keyferry/v1/directory.pb.h"
#include "server/config/config.pb.h"

namespace keyferry::server {

// Fills in the defaults of an issuer of people (kind oidc) and checks what such an issuer alone has: its organizations,
// audiences and claims. INVALID_ARGUMENT names the key below `key`.
absl::Status CompletePeople(const std::string& key, config::Issuer* issuer);

// By its spelling in the configuration; UNSPECIFIED for any other text.
v1::OrgRole OrgRoleOf(absl::string_view text);
v1::TeamRole TeamRoleOf(absl::string_view text);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_CONFIG_PEOPLE_CONFIG_H_
