#ifndef KEYFERRY_SERVER_NAMES_H_
#define KEYFERRY_SERVER_NAMES_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "keyferry/v1/credentials.pb.h"

namespace keyferry::server {

// A parsed `orgs/{org}[/teams/{team} | /users/{user} | /services/{service} | /workloads/{workload}]`.
struct ParentName {
  enum Kind { kOrg, kTeam, kUser, kService, kWorkload } kind = kOrg;
  std::string org;
  // The team, user, service or workload; "" for kOrg.
  std::string id;

  std::string Name() const;
  // The `parent` of a storage::RecordKey: "", "teams/{team}", "users/{user}", "services/{service}",
  // "workloads/{workload}".
  std::string RecordParent() const;
  // ORG, TEAM or USER; UNSPECIFIED for services and workloads.
  v1::CredentialScope Scope() const;
};

// `{parent}/{collection}/{id}`, e.g. collection "credentials".
struct ChildName {
  ParentName parent;
  std::string id;
  std::string Name(absl::string_view collection) const;
};

// All parsers answer INVALID_ARGUMENT naming `field`, and accept at most 512 bytes.
absl::StatusOr<ParentName> ParseParent(absl::string_view name, absl::string_view field);
// A name whose last two segments are `collection/{id}`; the id is checked by the rule of that collection.
absl::StatusOr<ChildName> ParseChild(absl::string_view name, absl::string_view collection, absl::string_view field);

// `[a-z0-9]([a-z0-9._-]*[a-z0-9])?`, at most 63 bytes.
absl::Status CheckId(absl::string_view id, absl::string_view field);
// `[A-Za-z_][A-Za-z0-9_]*`, at most 128 bytes, and not Keyferry's own (`KEYFERRY_*`). Names that hijack a process pass:
// whether the organization allows them is for AllowedNames (allowed_names.h) to say.
absl::Status CheckVariableForm(absl::string_view name, absl::string_view field);
// The same, and not one of the names that hijack a process (SPEC 2).
absl::Status CheckVariableName(absl::string_view name, absl::string_view field);
// INVALID_ARGUMENT on `field`: the name changes how a process starts.
absl::Status HijackingName(absl::string_view field);
// Whether the name is refused because it changes how a process starts.
bool IsHijackingName(absl::string_view name);
// UTF-8 of at most `max_bytes`, without control characters.
absl::Status CheckText(absl::string_view text, size_t max_bytes, absl::string_view field);
// 1 byte to 64 KiB without NUL. The message never shows any of it.
absl::Status CheckValue(absl::string_view value, absl::string_view field);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_NAMES_H_
