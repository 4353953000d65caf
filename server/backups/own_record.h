#ifndef KEYFERRY_SERVER_BACKUPS_OWN_RECORD_H_
#define KEYFERRY_SERVER_BACKUPS_OWN_RECORD_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "storage/store.h"

namespace keyferry::server {

// Commits an audit entry of what the operator had the program do, to the journal of `org` ("": the system's), with the
// outcome that it had.
absl::Status CommitOwnEntry(storage::Store* store, absl::Time now, const std::string& org, absl::string_view method,
                            const std::string& resource, const absl::Status& outcome);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_BACKUPS_OWN_RECORD_H_
