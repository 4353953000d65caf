#ifndef KEYFERRY_SERVER_OAUTH_CONNECT_STARTER_H_
#define KEYFERRY_SERVER_OAUTH_CONNECT_STARTER_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "server/identity/caller.h"
#include "server/names.h"
#include "storage/store.h"

namespace keyferry::server {

// Who started a connection, as one view holds them.
struct Starter {
  // With tier, role and teams; without a token.
  Caller caller;
  std::string display_name;
  // Of their record: a later principal of the same id has another.
  int64_t create_time = 0;
};

// The user or service of that name, or nullopt if there is none. Everything that says what they may do in `scope` is
// required to stand at the commit of `mutation`, which may be null. Errors are the store's.
absl::StatusOr<std::optional<Starter>> LoadStarter(const storage::StoreView& view, const std::string& principal,
                                                   const ParentName& scope, storage::Mutation* mutation);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_CONNECT_STARTER_H_
