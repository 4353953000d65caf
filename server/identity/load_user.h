#ifndef KEYFERRY_SERVER_IDENTITY_LOAD_USER_H_
#define KEYFERRY_SERVER_IDENTITY_LOAD_USER_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "server/identity/caller.h"
#include "storage/store.h"

namespace keyferry::server {

// A user as one view holds them.
struct LoadedUser {
  // Without a tier.
  Caller caller;
  // Of the user's record. A later user of the same id has another time.
  int64_t create_time = 0;
  storage::Revision revision = 0;
  // Whose tokens call as them, and how new the claims are that were taken over (UserRecord).
  std::string issuer;
  std::string issuer_url;
  std::string subject;
  int64_t claims_time = 0;
};

// The user with their role and teams, or nullopt if the org has no such user. Errors are the store's own.
absl::StatusOr<std::optional<LoadedUser>> LoadUser(const storage::StoreView& view, const std::string& org,
                                                   const std::string& id);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_IDENTITY_LOAD_USER_H_
