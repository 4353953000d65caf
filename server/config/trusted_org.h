#ifndef KEYFERRY_SERVER_CONFIG_TRUSTED_ORG_H_
#define KEYFERRY_SERVER_CONFIG_TRUSTED_ORG_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace keyferry::server {

// An entry of an issuer's `orgs`: `acme` for all of its namespaces, or `acme=tools-*,ml` for those alone.
struct TrustedOrg {
  std::string org;
  // Names; one that ends in `*` stands for all that begin so. Empty: every namespace.
  std::vector<std::string> namespaces;

  bool Takes(absl::string_view name_space, absl::string_view entered) const;
};

// INVALID_ARGUMENT says what is wrong with the entry.
absl::StatusOr<TrustedOrg> ParseTrustedOrg(absl::string_view entry);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_CONFIG_TRUSTED_ORG_H_
