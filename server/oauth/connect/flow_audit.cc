#include "server/oauth/connect/flow_audit.h"

#include "absl/status/status.h"
#include "server/oauth/connect/granted.h"

namespace keyferry::server {

CallRecord MakeFlowRecord(const std::string& org, absl::string_view method, const std::string& starter,
                          const std::string& connection, const std::string& peer, absl::Time now) {
  CallRecord record;
  record.org = org;
  const timespec time = absl::ToTimespec(now);
  record.entry.mutable_time()->set_seconds(time.tv_sec);
  record.entry.mutable_time()->set_nanos(static_cast<int32_t>(time.tv_nsec));
  record.entry.set_principal(starter);
  record.entry.set_peer(peer);
  record.entry.set_method(std::string(method));
  record.entry.set_resource(connection);
  return record;
}

void NoteFailure(CallRecord* record) { SetOutcome(ConnectFailed(record->entry.resource(), "", ""), &record->entry); }

}  // namespace keyferry::server
