#ifndef KEYFERRY_SERVER_USAGE_USED_NAME_H_
#define KEYFERRY_SERVER_USAGE_USED_NAME_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/usage/resolution_event.h"

namespace keyferry::server {

// `{scope}/credentials/{name}` or `{scope}/connections/{provider}`, as audit entries and process records show it.
std::string UsedName(absl::string_view org, const UsedCredential& used);

// The other way round, without a version; INVALID_ARGUMENT on `credential` for any other name.
absl::StatusOr<UsedCredential> ParseUsedName(absl::string_view name);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_USAGE_USED_NAME_H_
