#ifndef KEYFERRY_SERVER_BACKUPS_RESTORED_ACCESS_H_
#define KEYFERRY_SERVER_BACKUPS_RESTORED_ACCESS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/store.h"

namespace keyferry::server {

// A token for calling Keyferry that opens in a store; of sessions only how many there are. Nothing of it is secret.
struct KnownToken {
  std::string principal;
  std::string id;
  std::string display_name;
  absl::Time create_time;
  absl::Time expire_time;
};

// What a restored store holds of one organization.
struct RestoredOrg {
  std::string id;
  uint64_t users = 0;
  uint64_t credentials = 0;
  uint64_t connections = 0;
  uint64_t sessions = 0;
  std::vector<KnownToken> tokens;
  // The end of its audit log; the hash in base64, as exports have it.
  uint64_t last_audit_sequence = 0;
  std::string last_audit_hash;
};

absl::StatusOr<std::vector<RestoredOrg>> DescribeOrgs(storage::Store& store);

// Deletes every token and every session of every organization: those that were revoked since the backup was made cannot
// be told from the others. Users, services and workloads stay.
absl::Status RevokeAllAccess(storage::Store* store);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_BACKUPS_RESTORED_ACCESS_H_
