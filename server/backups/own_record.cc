#include "server/backups/own_record.h"

#include "keyferry/v1/audit.pb.h"
#include "server/audit/call_record.h"
#include "server/directory/common.h"

namespace keyferry::server {

absl::Status CommitOwnEntry(storage::Store* store, absl::Time now, const std::string& org, absl::string_view method,
                            const std::string& resource, const absl::Status& outcome) {
  v1::AuditEntry entry;
  *entry.mutable_time() = ToTimestamp(absl::ToUnixNanos(now));
  entry.set_method(std::string(method));
  entry.set_resource(resource);
  SetOutcome(outcome, &entry);
  storage::Mutation mutation;
  mutation.Append(org, entry.SerializeAsString());
  return store->Commit(mutation, storage::Durability::kSynced).status();
}

}  // namespace keyferry::server
