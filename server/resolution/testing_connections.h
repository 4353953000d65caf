#ifndef KEYFERRY_SERVER_RESOLUTION_TESTING_CONNECTIONS_H_
#define KEYFERRY_SERVER_RESOLUTION_TESTING_CONNECTIONS_H_

#include <string>

#include "absl/time/time.h"
#include "storage/store.h"

namespace keyferry::server {

// Testonly. A connection of the org acme as a grant leaves it.
struct TestConnection {
  // Of the RecordKey: "", "teams/eng", "users/ada".
  std::string parent;
  std::string token = "access-token-one";
  int64_t version = 1;
  // Infinite: nobody knows.
  absl::Time expire_time = absl::InfiniteFuture();
  bool refreshable = true;
  // Then without any token.
  bool connect_needed = false;
  int64_t user_create_time = 0;
  absl::Time create_time = absl::UnixEpoch();
  absl::Time next_attempt_time = absl::UnixEpoch();
  std::string provider = "google";
};

// What every test token is stored with, and nobody may ever see.
inline constexpr char kTestRefreshToken[] = "refresh-token-of-the-test";

// In one commit, as connecting and refreshing do.
void PutConnection(storage::Store* store, const TestConnection& connection);
void DeleteConnection(storage::Store* store, const std::string& parent, const std::string& provider = "google");
void PutProvider(storage::Store* store, const std::string& id);
void PutLease(storage::Store* store, const std::string& parent, const std::string& provider = "google");

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_RESOLUTION_TESTING_CONNECTIONS_H_
