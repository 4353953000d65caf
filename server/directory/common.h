#ifndef KEYFERRY_SERVER_DIRECTORY_COMMON_H_
#define KEYFERRY_SERVER_DIRECTORY_COMMON_H_

#include <functional>
#include <initializer_list>
#include <string>

#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "google/protobuf/field_mask.pb.h"
#include "google/protobuf/timestamp.pb.h"
#include "server/credentials/parent_counts.h"
#include "server/identity/external_identities.h"
#include "server/names.h"
#include "server/pagination.h"
#include "storage/records/records.pb.h"
#include "storage/store.h"

namespace keyferry::server {

// What the rules of the directory share. The pointers outlive the rules.
struct DirectoryContext {
  storage::Store* store = nullptr;
  std::function<absl::Time()> clock;
  const PageTokens* pages = nullptr;
  // Held from reading to commit by every change that depends on a whole set (the ADMINs of an org, the users that the
  // team `default` must hold): preconditions guard single records only. This process alone writes the store.
  absl::Mutex* changes = nullptr;
  // Whose identities may be granted; null: nobody's.
  const ExternalIdentities* external = nullptr;
  // How many users each org holds, for all who make users. Null: each rule counts by itself.
  ParentCounts* user_counts = nullptr;

  int64_t NowNanos() const { return absl::ToUnixNanos(clock()); }
};

google::protobuf::Timestamp ToTimestamp(int64_t unix_nanos);

// `orgs/{org}`; INVALID_ARGUMENT naming `field` for anything else.
absl::StatusOr<ParentName> ParseOrg(absl::string_view name, absl::string_view field);

// A child of an org by its collection, with a well-formed id, e.g. `orgs/{org}/users/{user}`.
absl::StatusOr<ChildName> ParseOrgChild(absl::string_view name, absl::string_view collection, absl::string_view field);

// Changes with every change of the record: the first 16 hex digits of the SHA-256 of its bytes.
std::string EtagOf(const google::protobuf::MessageLite& record);

// OK if `etag` is empty or equal; otherwise STALE_ETAG.
absl::Status CheckEtag(absl::string_view etag, absl::string_view current, absl::string_view resource);

// The paths to change: those of the mask, or, for an empty mask, `set` (the paths that carry a value). INVALID_ARGUMENT
// on `update_mask` for a path that is not in `known`.
absl::StatusOr<absl::flat_hash_set<std::string>> MaskPaths(const google::protobuf::FieldMask& mask,
                                                           std::initializer_list<absl::string_view> known,
                                                           absl::flat_hash_set<std::string> set);

// UTF-8 of at most 256 bytes.
absl::Status CheckDisplayName(absl::string_view name, absl::string_view field);

// The org's record. NOT_FOUND if it has none.
struct OrgState {
  storage::records::OrgRecord record;
  storage::Revision revision = 0;
};
absl::StatusOr<OrgState> ReadOrg(const storage::StoreView& view, const std::string& org);

// Adds to `mutation` the deletion of every credential, connection, MCP server and token below `parent` of the org
// ("users/ada"), and of every session that names it or that it created. Tokens of connections are revoked from `now`
// on.
absl::Status DeleteEverythingBelow(const storage::StoreView& view, const std::string& org, const std::string& parent,
                                   absl::Time now, storage::Mutation* mutation);

// Deletes what a call wrote below `parent` while it was being deleted. Call once that deletion is committed: from then
// on every write below it fails, since it requires the parent.
absl::Status SweepBelow(storage::Store* store, const std::string& org, const std::string& parent, absl::Time now);

// Adds a new team.
void PutTeam(const std::string& org, const std::string& team, const std::string& display_name, int64_t create_time,
             storage::Mutation* mutation);

// Adds the user to the team, on both sides of the membership.
void PutMembership(const std::string& org, const std::string& team, const std::string& user, int role,
                   int64_t create_time, storage::Mutation* mutation);
void DeleteMembership(const std::string& org, const std::string& team, const std::string& user,
                      storage::Mutation* mutation);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_DIRECTORY_COMMON_H_
