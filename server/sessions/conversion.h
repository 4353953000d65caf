#ifndef KEYFERRY_SERVER_SESSIONS_CONVERSION_H_
#define KEYFERRY_SERVER_SESSIONS_CONVERSION_H_

#include <string>

#include "keyferry/v1/sessions.pb.h"
#include "server/access/access.h"
#include "storage/records/records.pb.h"

namespace keyferry::server {

// `orgs/{org}/sessions/{id}`.
std::string SessionName(const std::string& org, const std::string& id);

// The public form.
v1::Session ToSession(const std::string& org, const storage::records::SessionRecord& record);

// What the access decision is asked about.
Resource SessionResource(const std::string& org, const storage::records::SessionRecord& record);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_SESSIONS_CONVERSION_H_
