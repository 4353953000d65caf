#include "server/oauth/connect/delete_below.h"

#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "server/oauth/connection_records.h"
#include "server/oauth/refresh/revocations.h"
#include "server/records.h"
#include "server/status_macros.h"
#include "storage/records/records.pb.h"
#include "storage/records/typed.h"

namespace keyferry::server {

namespace records = storage::records;
using storage::Table;

absl::Status DeleteConnectionRecords(const storage::StoreView& view, const std::string& org, const std::string& parent,
                                     const std::string& provider, absl::Time now, storage::Mutation* mutation) {
  const ConnectionKey key = {org, parent, provider};
  ASSIGN_OR_RETURN(const auto connection,
                   ReadRecord<records::ConnectionRecord>(view, ConnectionRecordKey(Table::kConnection, key)));
  ASSIGN_OR_RETURN(auto token,
                   ReadRecord<records::ConnectionTokenRecord>(view, ConnectionRecordKey(Table::kConnectionToken, key)));
  ASSIGN_OR_RETURN(auto defined, ReadRecord<records::OauthProviderRecord>(view, ProviderKey(org, provider)));
  std::optional<storage::Revision> expected;
  if (connection.has_value()) expected = connection->revision;
  mutation->Delete(ConnectionRecordKey(Table::kConnection, key), expected);
  if (token.has_value()) {
    const storage::Wiped<records::ConnectionTokenRecord> tokens(std::move(token->record));
    // What is revoked is what is deleted: a refresh that comes between loses or wins whole.
    mutation->Delete(ConnectionRecordKey(Table::kConnectionToken, key), token->revision);
    if (defined.has_value() && connection.has_value()) {
      const storage::Wiped<records::OauthProviderRecord> definition(std::move(defined->record));
      AddRevocation(org, *definition, connection->record, *tokens, now, mutation);
    }
  }
  mutation->Delete(ConnectionRecordKey(Table::kConnectionLease, key), /*expected=*/std::nullopt);
  mutation->Delete({Table::kCredentialUsage, org, parent, absl::StrCat("connections/", provider)},
                   /*expected=*/std::nullopt);
  return absl::OkStatus();
}

absl::Status DeleteConnectionsBelow(const storage::StoreView& view, const std::string& org, const std::string& parent,
                                    absl::Time now, storage::Mutation* mutation) {
  ASSIGN_OR_RETURN(const auto connections,
                   ScanRecords<records::ConnectionRecord>(view, Table::kConnection, org, parent));
  for (const auto& connection : connections) {
    RETURN_IF_ERROR(DeleteConnectionRecords(view, org, parent, connection.record.id(), now, mutation));
  }
  ASSIGN_OR_RETURN(auto attempts,
                   ScanRecords<records::ConnectionAttemptRecord>(view, Table::kConnectionAttempt, org, parent));
  for (auto& attempt : attempts) {
    const storage::Wiped<records::ConnectionAttemptRecord> record(std::move(attempt.record));
    mutation->Delete({Table::kConnectionAttempt, org, parent, record->id()}, /*expected=*/std::nullopt);
    for (const std::string& hash : {record->start_hash(), record->state_hash()}) {
      if (hash.empty()) continue;
      mutation->Delete({Table::kConnectionAttemptIndex, "", "", absl::BytesToHexString(hash)},
                       /*expected=*/std::nullopt);
    }
  }
  return absl::OkStatus();
}

}  // namespace keyferry::server
