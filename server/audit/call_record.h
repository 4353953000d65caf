#ifndef KEYFERRY_SERVER_AUDIT_CALL_RECORD_H_
#define KEYFERRY_SERVER_AUDIT_CALL_RECORD_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/message.h"
#include "keyferry/v1/audit.pb.h"
#include "server/identity/caller.h"
#include "server/usage/resolution_event.h"
#include "storage/store.h"

namespace keyferry::server {

// What one call will say of itself in the audit log. One per call, filled in while the call is served. Not thread-safe.
struct CallRecord {
  // Whose journal it goes to; "" is the system's, for callers that are not known.
  std::string org;
  // Without sequence and hash.
  v1::AuditEntry entry;
  // Set by a resolution.
  std::optional<ResolutionEvent> resolution;
  // The call gave nothing out and changed nothing stored, and yet its entry names credentials.
  bool confirms = false;
  // The entry has been committed together with what it tells of.
  bool committed = false;
};

// Whether the text has the form of a resource name of at most 512 bytes: `orgs/` and then letters, digits and `/._-`.
bool IsResourceName(absl::string_view text);

// The resource that a request is about: its `name`, `mcp_server`, `parent`, or the `name` of the resource in it. ""
// unless that has the form of a resource name, so that nothing else a caller sends gets into the log.
std::string ResourceOf(const google::protobuf::Message& request);

// Puts what a resolution gave out into the entry, and keeps the event for those who count uses.
void SetResolution(ResolutionEvent event, CallRecord* record);

// Puts into the entry what a process confirms that it holds. No use of a credential.
void SetConfirmation(const ResolutionEvent& event, CallRecord* record);

// An external identity as the log has it.
v1::CallerIdentity ToCallerIdentity(const ExternalIdentity& identity);

// Notes who calls.
void NoteCaller(const Caller& caller, CallRecord* record);

// Notes how the call ended.
void SetOutcome(const absl::Status& status, v1::AuditEntry* entry);

// Commits a change, together with the audit entry of the call that makes it. For callers without a record, the change
// alone.
absl::StatusOr<storage::Revision> CommitAudited(storage::Store* store, const Caller& caller, storage::Mutation mutation,
                                                storage::Durability durability = storage::Durability::kSynced);

// The credential versions that the change stores or destroys, for its entry.
void NoteCredential(const Caller& caller, const std::string& credential, int64_t version);
// The process that the call is about.
void NoteProcess(const Caller& caller, const v1::ProcessInfo& process);
// The resource that the change is about, where the request does not name it whole.
void NoteResource(const Caller& caller, const std::string& resource);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_AUDIT_CALL_RECORD_H_
