#include "server/resolution/connection_state.h"

#include <string>

#include "keyferry/v1/connections.pb.h"
#include "server/status_macros.h"
#include "storage/records/typed.h"

namespace keyferry::server {

namespace records = storage::records;

GrantState StateAt(const records::ConnectionRecord& record, absl::Time now) {
  if (record.state() != v1::CONNECTION_STATE_CONNECTED) return GrantState::kConnectNeeded;
  if (record.expire_time() == 0 || now < absl::FromUnixNanos(record.expire_time())) return GrantState::kValid;
  return record.refreshable() ? GrantState::kEnded : GrantState::kConnectNeeded;
}

absl::StatusOr<FoundConnection> FindConnection(const storage::StoreView& view, const ParentName& parent,
                                               absl::string_view provider, absl::Time now) {
  FoundConnection found;
  ASSIGN_OR_RETURN(const auto stored,
                   view.Get({storage::Table::kConnection, parent.org, parent.RecordParent(), std::string(provider)}));
  if (!stored.has_value()) return found;
  RETURN_IF_ERROR(storage::ParseSecretInto(stored->payload, found.record));
  found.state = StateAt(found.record, now);
  return found;
}

namespace {

absl::StatusOr<int64_t> UserCreateTimeOf(const storage::StoreView& view, const ParentName& user,
                                         const records::ConnectionRecord& connection) {
  if (connection.user_create_time() != 0) return connection.user_create_time();
  ASSIGN_OR_RETURN(const auto stored,
                   view.Get({storage::Table::kConnectionToken, user.org, user.RecordParent(), connection.id()}));
  storage::Wiped<records::ConnectionTokenRecord> token;
  if (stored.has_value()) RETURN_IF_ERROR(storage::ParseSecretInto(stored->payload, *token));
  return token->user_create_time();
}

}  // namespace

absl::StatusOr<FoundConnection> FindConnectionOfUser(const storage::StoreView& view, const ParentName& user,
                                                     int64_t user_create_time, absl::string_view provider,
                                                     absl::Time now) {
  ASSIGN_OR_RETURN(FoundConnection found, FindConnection(view, user, provider, now));
  if (found.state == GrantState::kNone) return found;
  ASSIGN_OR_RETURN(const int64_t made_for, UserCreateTimeOf(view, user, found.record));
  if (made_for != user_create_time) return FoundConnection();
  return found;
}

}  // namespace keyferry::server
