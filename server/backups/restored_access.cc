#include "server/backups/restored_access.h"

#include <algorithm>
#include <functional>
#include <tuple>
#include <utility>

#include "absl/strings/escaping.h"
#include "server/records.h"
#include "server/status_macros.h"
#include "storage/journal.h"
#include "storage/records/records.pb.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Table;

constexpr size_t kDeletedPerCommit = 500;

template <typename T>
absl::Status ScanAllRecords(const storage::StoreView& view, Table table, const std::string& org,
                            const std::function<void(const T&)>& visit) {
  absl::Status decoded;
  RETURN_IF_ERROR(view.ScanAll(table, org, [&](storage::Record record) {
    T message;
    decoded = storage::ParseSecretInto(record.payload, message);
    if (decoded.ok()) visit(message);
    return decoded.ok();
  }));
  return decoded;
}

absl::StatusOr<uint64_t> Count(const storage::StoreView& view, Table table, const std::string& org) {
  uint64_t count = 0;
  RETURN_IF_ERROR(view.ScanAll(table, org, [&count](const storage::Record&) { return ++count != 0; }));
  return count;
}

absl::StatusOr<RestoredOrg> Describe(const storage::StoreView& view, const std::string& org) {
  RestoredOrg restored;
  restored.id = org;
  ASSIGN_OR_RETURN(restored.users, Count(view, Table::kUser, org));
  ASSIGN_OR_RETURN(restored.credentials, Count(view, Table::kCredential, org));
  ASSIGN_OR_RETURN(restored.connections, Count(view, Table::kConnection, org));
  ASSIGN_OR_RETURN(restored.sessions, Count(view, Table::kSession, org));
  RETURN_IF_ERROR(
      ScanAllRecords<records::TokenRecord>(view, Table::kToken, org, [&restored](const records::TokenRecord& token) {
        restored.tokens.push_back({token.principal(), token.id(), token.display_name(),
                                   absl::FromUnixNanos(token.create_time()), absl::FromUnixNanos(token.expire_time())});
      }));
  std::sort(restored.tokens.begin(), restored.tokens.end(), [](const KnownToken& a, const KnownToken& b) {
    return std::tie(a.principal, a.create_time, a.id) < std::tie(b.principal, b.create_time, b.id);
  });
  ASSIGN_OR_RETURN(const storage::JournalHead head, storage::ReadJournalHead(view, org));
  restored.last_audit_sequence = head.last_sequence;
  restored.last_audit_hash = absl::Base64Escape(storage::View(head.hash));
  return restored;
}

// The `parent` of the token's RecordKey: what stands behind the organization in its principal's name.
std::string ParentOf(const std::string& principal, const std::string& org) {
  return principal.substr(std::min(principal.size(), std::string("orgs//").size() + org.size()));
}

absl::Status RevokeAccess(storage::Store* store, const std::string& org) {
  std::vector<storage::RecordKey> keys;
  {
    const auto view = store->View();
    RETURN_IF_ERROR(
        ScanAllRecords<records::TokenRecord>(*view, Table::kToken, org, [&](const records::TokenRecord& token) {
          keys.push_back({Table::kToken, org, ParentOf(token.principal(), org), token.id()});
          keys.push_back({Table::kTokenIndex, "", "", absl::BytesToHexString(token.hash())});
        }));
    RETURN_IF_ERROR(
        ScanAllRecords<records::SessionRecord>(*view, Table::kSession, org, [&](const records::SessionRecord& session) {
          keys.push_back({Table::kSession, org, "", session.id()});
        }));
  }
  for (size_t first = 0; first < keys.size(); first += kDeletedPerCommit) {
    storage::Mutation mutation;
    for (size_t i = first; i < std::min(keys.size(), first + kDeletedPerCommit); ++i) {
      mutation.Delete(keys[i], std::nullopt);
    }
    RETURN_IF_ERROR(store->Commit(mutation, storage::Durability::kSynced).status());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> OrgIds(const storage::StoreView& view) {
  ASSIGN_OR_RETURN(const auto orgs, ScanRecords<records::OrgRecord>(view, Table::kOrg, "", ""));
  std::vector<std::string> ids;
  for (const auto& org : orgs) ids.push_back(org.record.id());
  std::sort(ids.begin(), ids.end());
  return ids;
}

}  // namespace

absl::StatusOr<std::vector<RestoredOrg>> DescribeOrgs(storage::Store& store) {
  const auto view = store.View();
  ASSIGN_OR_RETURN(const std::vector<std::string> ids, OrgIds(*view));
  std::vector<RestoredOrg> orgs;
  for (const std::string& id : ids) {
    absl::StatusOr<RestoredOrg> org = Describe(*view, id);
    // Its keyring was destroyed, and its own record was about to go.
    if (absl::IsNotFound(org.status())) continue;
    RETURN_IF_ERROR(org.status());
    orgs.push_back(*std::move(org));
  }
  return orgs;
}

absl::Status RevokeAllAccess(storage::Store* store) {
  ASSIGN_OR_RETURN(const std::vector<std::string> ids, OrgIds(*store->View()));
  for (const std::string& id : ids) {
    const absl::Status revoked = RevokeAccess(store, id);
    if (!absl::IsNotFound(revoked)) RETURN_IF_ERROR(revoked);
  }
  return absl::OkStatus();
}

}  // namespace keyferry::server
