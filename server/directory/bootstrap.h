#ifndef KEYFERRY_SERVER_DIRECTORY_BOOTSTRAP_H_
#define KEYFERRY_SERVER_DIRECTORY_BOOTSTRAP_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "keyferry/v1/directory.pb.h"
#include "server/directory/tokens.h"

namespace keyferry::server {

// What only the operator of the machine does, without a caller: no method of the API reaches this.

// Makes the org, with its keyring and an ADMIN of the given id, unless they exist. An existing org keeps its tier, an
// existing user becomes ADMIN. Returns whether the org was made.
absl::StatusOr<bool> EnsureOrgWithAdmin(const DirectoryContext& context, const std::string& org, v1::Tier tier,
                                        const std::string& admin);

// Whether there is any org.
absl::StatusOr<bool> HasOrg(storage::Store* store);

// A token for an existing user of the org.
absl::StatusOr<IssuedToken> IssueTokenForUser(const DirectoryContext& context, const std::string& org,
                                              const std::string& user, absl::string_view display_name,
                                              absl::Duration ttl);

// Removes the record of every org that has no keyring any more since a DeleteOrg was cut short, which the record says;
// of one that lost it otherwise it stays, for AuditCheck to tell. Token index entries stay and open nothing, since
// their tokens went with the keyring. Call at start.
absl::Status FinishOrgDeletions(storage::Store* store);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_DIRECTORY_BOOTSTRAP_H_
