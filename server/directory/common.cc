#include "server/directory/common.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "openssl/sha.h"
#include "server/errors.h"
#include "server/oauth/connect/delete_below.h"
#include "server/records.h"
#include "server/status_macros.h"

namespace keyferry::server {

namespace records = storage::records;
using storage::Table;

namespace {

// Ids are what `id_of` says; the records themselves are not needed.
template <typename T, typename IdOf>
absl::Status DeleteTable(const storage::StoreView& view, std::initializer_list<Table> tables, Table listed,
                         const std::string& org, const std::string& parent, IdOf id_of, storage::Mutation* mutation) {
  auto all = ScanRecords<T>(view, listed, org, parent);
  if (!all.ok()) return FromStore(all.status(), absl::StrCat("orgs/", org));
  for (auto& stored : *all) {
    for (Table table : tables) mutation->Delete({table, org, parent, id_of(stored.record)}, std::nullopt);
    storage::WipeMessage(stored.record);
  }
  return absl::OkStatus();
}

// Deletes the sessions that name the user, team or workload, or that the service created.
absl::Status DeleteSessionsOf(const storage::StoreView& view, const std::string& org, const std::string& name,
                              storage::Mutation* mutation) {
  const auto sessions = ScanRecords<records::SessionRecord>(view, Table::kSession, org, "");
  if (!sessions.ok()) return FromStore(sessions.status(), absl::StrCat("orgs/", org));
  for (const auto& [session, revision, version] : *sessions) {
    if (session.user() == name || session.team() == name || session.workload() == name || session.creator() == name) {
      mutation->Delete({Table::kSession, org, "", session.id()}, std::nullopt);
    }
  }
  return absl::OkStatus();
}

}  // namespace

google::protobuf::Timestamp ToTimestamp(int64_t unix_nanos) {
  google::protobuf::Timestamp timestamp;
  timestamp.set_seconds(unix_nanos / 1000000000);
  timestamp.set_nanos(static_cast<int32_t>(unix_nanos % 1000000000));
  return timestamp;
}

absl::StatusOr<ParentName> ParseOrg(absl::string_view name, absl::string_view field) {
  ASSIGN_OR_RETURN(ParentName parent, ParseParent(name, field));
  if (parent.kind != ParentName::kOrg) return InvalidField(field, "not an organization", "Use `orgs/{org}`.");
  return parent;
}

absl::StatusOr<ChildName> ParseOrgChild(absl::string_view name, absl::string_view collection, absl::string_view field) {
  ASSIGN_OR_RETURN(ChildName child, ParseChild(name, collection, field));
  if (child.parent.kind != ParentName::kOrg) {
    return InvalidField(field, "not below an organization", absl::StrCat("Use `orgs/{org}/", collection, "/{id}`."));
  }
  RETURN_IF_ERROR(CheckId(child.id, field));
  return child;
}

std::string EtagOf(const google::protobuf::MessageLite& record) {
  const std::string bytes = record.SerializeAsString();
  uint8_t digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), digest);
  return absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(digest), 8));
}

absl::Status CheckEtag(absl::string_view etag, absl::string_view current, absl::string_view resource) {
  return etag.empty() || etag == current ? absl::OkStatus() : StaleEtag(resource);
}

absl::StatusOr<absl::flat_hash_set<std::string>> MaskPaths(const google::protobuf::FieldMask& mask,
                                                           std::initializer_list<absl::string_view> known,
                                                           absl::flat_hash_set<std::string> set) {
  if (mask.paths().empty()) return set;
  absl::flat_hash_set<std::string> paths;
  for (const std::string& path : mask.paths()) {
    if (std::find(known.begin(), known.end(), path) == known.end()) {
      return InvalidField("update_mask", "names a field that cannot be updated",
                          absl::StrCat("Name only ", absl::StrJoin(known, ", "), "."));
    }
    paths.insert(path);
  }
  return paths;
}

absl::Status CheckDisplayName(absl::string_view name, absl::string_view field) { return CheckText(name, 256, field); }

absl::StatusOr<OrgState> ReadOrg(const storage::StoreView& view, const std::string& org) {
  auto found = ReadRecord<records::OrgRecord>(view, {Table::kOrg, "", "", org});
  const std::string name = absl::StrCat("orgs/", org);
  if (!found.ok()) return FromStore(found.status(), name);
  if (!found->has_value()) return NotFound(name);
  return OrgState{std::move((*found)->record), (*found)->revision};
}

absl::Status DeleteEverythingBelow(const storage::StoreView& view, const std::string& org, const std::string& parent,
                                   absl::Time now, storage::Mutation* mutation) {
  if (absl::Status connections = DeleteConnectionsBelow(view, org, parent, now, mutation); !connections.ok()) {
    return FromStore(connections, absl::StrCat("orgs/", org));
  }
  RETURN_IF_ERROR(DeleteTable<records::CredentialRecord>(
      view, {Table::kCredential, Table::kCredentialValue, Table::kPreviousValue, Table::kCredentialUsage},
      Table::kCredential, org, parent, [](const auto& record) { return record.id(); }, mutation));
  RETURN_IF_ERROR(DeleteTable<records::McpServerRecord>(
      view, {Table::kMcpServer}, Table::kMcpServer, org, parent, [](const auto& record) { return record.id(); },
      mutation));
  auto tokens = ScanRecords<records::TokenRecord>(view, Table::kToken, org, parent);
  if (!tokens.ok()) return FromStore(tokens.status(), absl::StrCat("orgs/", org));
  for (const auto& token : *tokens) {
    mutation->Delete({Table::kToken, org, parent, token.record.id()}, std::nullopt);
    mutation->Delete({Table::kTokenIndex, "", "", absl::BytesToHexString(token.record.hash())}, std::nullopt);
  }
  return DeleteSessionsOf(view, org, absl::StrCat("orgs/", org, "/", parent), mutation);
}

absl::Status SweepBelow(storage::Store* store, const std::string& org, const std::string& parent, absl::Time now) {
  storage::Mutation mutation;
  RETURN_IF_ERROR(DeleteEverythingBelow(*store->View(), org, parent, now, &mutation));
  if (mutation.empty()) return absl::OkStatus();
  return FromStore(store->Commit(mutation, storage::Durability::kSynced).status(), absl::StrCat("orgs/", org));
}

void PutTeam(const std::string& org, const std::string& team, const std::string& display_name, int64_t create_time,
             storage::Mutation* mutation) {
  records::TeamRecord record;
  record.set_id(team);
  record.set_display_name(display_name);
  record.set_create_time(create_time);
  record.set_update_time(create_time);
  mutation->Put({Table::kTeam, org, "", team}, storage::SerializeSecret(record), /*version=*/1, /*expected=*/0);
}

void PutMembership(const std::string& org, const std::string& team, const std::string& user, int role,
                   int64_t create_time, storage::Mutation* mutation) {
  records::TeamMemberRecord member;
  member.set_team(team);
  member.set_user(user);
  member.set_role(role);
  member.set_create_time(create_time);
  mutation->Put({Table::kTeamMember, org, absl::StrCat("teams/", team), user}, storage::SerializeSecret(member),
                /*version=*/1, std::nullopt);
  records::MembershipRecord membership;
  membership.set_user(user);
  membership.set_team(team);
  membership.set_role(role);
  membership.set_create_time(create_time);
  mutation->Put({Table::kMembership, org, absl::StrCat("users/", user), team}, storage::SerializeSecret(membership),
                /*version=*/1, std::nullopt);
}

void DeleteMembership(const std::string& org, const std::string& team, const std::string& user,
                      storage::Mutation* mutation) {
  mutation->Delete({Table::kTeamMember, org, absl::StrCat("teams/", team), user}, std::nullopt);
  mutation->Delete({Table::kMembership, org, absl::StrCat("users/", user), team}, std::nullopt);
}

}  // namespace keyferry::server
