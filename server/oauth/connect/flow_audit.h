#ifndef KEYFERRY_SERVER_OAUTH_CONNECT_FLOW_AUDIT_H_
#define KEYFERRY_SERVER_OAUTH_CONNECT_FLOW_AUDIT_H_

#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/audit/call_record.h"

namespace keyferry::server {

// What browsers do has entries in the audit log, under these methods. The principal is who started the connection: who
// sits in front of the browser is not known.
inline constexpr absl::string_view kConfirmMethod = "keyferryd/ConfirmConnection";
inline constexpr absl::string_view kCompleteMethod = "keyferryd/CompleteConnection";

CallRecord MakeFlowRecord(const std::string& org, absl::string_view method, const std::string& starter,
                          const std::string& connection, const std::string& peer, absl::Time now);

// Notes that it failed with CONNECT_FAILED, for an entry that is stored without a call's status.
void NoteFailure(CallRecord* record);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_CONNECT_FLOW_AUDIT_H_
