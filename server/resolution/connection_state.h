#ifndef KEYFERRY_SERVER_RESOLUTION_CONNECTION_STATE_H_
#define KEYFERRY_SERVER_RESOLUTION_CONNECTION_STATE_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/names.h"
#include "storage/records/records.pb.h"
#include "storage/store.h"

namespace keyferry::server {

// What a connection has to offer at one moment.
enum class GrantState {
  // There is no connection.
  kNone,
  // Its access token is valid, as far as anybody knows.
  kValid,
  // Its access token has ended, and a fresh one can be had without a person.
  kEnded,
  // Somebody has to consent (again).
  kConnectNeeded,
};

// By the connection's metadata alone. A token whose end is not known is valid. Also what the scheduler has not noted
// yet counts: a token ends by the clock.
GrantState StateAt(const storage::records::ConnectionRecord& record, absl::Time now);

struct FoundConnection {
  GrantState state = GrantState::kNone;
  storage::records::ConnectionRecord record;
};

// `{parent}/connections/{provider}` as `view` holds it, without its tokens. Errors are the store's.
absl::StatusOr<FoundConnection> FindConnection(const storage::StoreView& view, const ParentName& parent,
                                               absl::string_view provider, absl::Time now);

// The same for a user whose record says that it was made at `user_create_time`: a connection that was made for another
// record was that of somebody else of the same id, and there is none. The times are compared for equality alone, so
// that no two clocks are.
absl::StatusOr<FoundConnection> FindConnectionOfUser(const storage::StoreView& view, const ParentName& user,
                                                     int64_t user_create_time, absl::string_view provider,
                                                     absl::Time now);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_RESOLUTION_CONNECTION_STATE_H_
