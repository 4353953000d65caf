#ifndef KEYFERRY_SERVER_CREDENTIALS_CONVERSION_H_
#define KEYFERRY_SERVER_CREDENTIALS_CONVERSION_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "keyferry/v1/credentials.pb.h"
#include "server/access/access.h"
#include "server/identity/caller.h"
#include "server/names.h"
#include "server/usage/usage_recorder.h"
#include "storage/records/records.pb.h"
#include "storage/store.h"

namespace keyferry::server {

// `{parent}/credentials/{name}` with a parent that can hold credentials and a well-formed name.
absl::StatusOr<ChildName> ParseCredentialName(absl::string_view name, absl::string_view field);
// An org, team or user; INVALID_ARGUMENT naming `field` for anything else.
absl::StatusOr<ParentName> ParseCredentialParent(absl::string_view name, absl::string_view field);

// What the access decision is asked about; `name` is the credential's, or the parent's for a list.
Resource CredentialResource(const ParentName& parent, std::string name);

// Authorize for a credential or connection that `parent` holds. What is refused in a team that does not exist is
// NOT_FOUND of the team: a caller whom the refusal is told openly may see whether there is such a team.
absl::Status AuthorizeHeld(storage::Store* store, const Caller& caller, Action action, const ParentName& parent,
                           std::string name);

storage::RecordKey CredentialKey(storage::Table table, const ChildName& name);

// Whether the organization's tier does not include the parent's scope.
bool IsScopeSuspended(v1::Tier tier, const ParentName& parent);

// Whether the version for RollbackCredential is still to be had at `now`, swept or not.
bool HasPrevious(const storage::records::CredentialRecord& record, absl::Time now);

// Whether the reminder to rotate lies in the past.
bool IsRotationOverdue(const storage::records::CredentialRecord& record, absl::Time now);

std::string CredentialEtag(const storage::records::CredentialRecord& record);

// The public form.
v1::Credential ToCredential(const ParentName& parent, const storage::records::CredentialRecord& record,
                            const LastUse& use, v1::Tier tier, absl::Time now);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_CREDENTIALS_CONVERSION_H_
