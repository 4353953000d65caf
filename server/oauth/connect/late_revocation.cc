#include "server/oauth/connect/late_revocation.h"

#include "server/oauth/connect/conversion.h"
#include "server/oauth/connection_records.h"
#include "server/oauth/refresh/revocations.h"
#include "server/status_macros.h"
#include "storage/records/records.pb.h"
#include "storage/records/typed.h"

namespace keyferry::server {

namespace records = storage::records;

absl::Status AddLateRevocation(const storage::StoreView& view, const ConnectionKey& key,
                               const ProviderDefinition& provider, const UrlVariables& url_variables,
                               const TokenGrant& granted, absl::Time now, storage::Mutation* mutation) {
  ASSIGN_OR_RETURN(const bool exists, view.Contains(ConnectionRecordKey(storage::Table::kConnection, key)));
  if (exists) return absl::OkStatus();
  storage::Wiped<records::OauthProviderRecord> record;
  record->set_id(key.provider);
  provider.provider.SerializeToString(record->mutable_definition());
  record->set_signing_key(provider.signing_key.Expose().data(), provider.signing_key.size());
  records::ConnectionRecord connection;
  SetUrlVariables(url_variables, connection.mutable_url_variables());
  storage::Wiped<records::ConnectionTokenRecord> tokens;
  tokens->set_access_token(granted.access_token.Expose().data(), granted.access_token.size());
  tokens->set_refresh_token(granted.refresh_token.Expose().data(), granted.refresh_token.size());
  AddRevocation(key.org, *record, connection, *tokens, now, mutation);
  return absl::OkStatus();
}

}  // namespace keyferry::server
