#include "server/sessions/conversion.h"

#include "absl/strings/str_cat.h"
#include "server/directory/common.h"

namespace keyferry::server {

std::string SessionName(const std::string& org, const std::string& id) {
  return absl::StrCat("orgs/", org, "/sessions/", id);
}

v1::Session ToSession(const std::string& org, const storage::records::SessionRecord& record) {
  v1::Session session;
  session.set_name(SessionName(org, record.id()));
  session.set_user(record.user());
  session.set_team(record.team());
  *session.mutable_mcp_servers() = record.mcp_servers();
  session.set_workload(record.workload());
  *session.mutable_create_time() = ToTimestamp(record.create_time());
  *session.mutable_expire_time() = ToTimestamp(record.expire_time());
  session.set_creator(record.creator());
  return session;
}

Resource SessionResource(const std::string& org, const storage::records::SessionRecord& record) {
  // The user's id is what follows the last slash.
  return {ResourceKind::kSession,
          org,
          /*team=*/"",
          record.user().substr(record.user().rfind('/') + 1),
          SessionName(org, record.id()),
          record.creator()};
}

}  // namespace keyferry::server
