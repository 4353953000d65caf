#ifndef KEYFERRY_SERVER_ERRORS_H_
#define KEYFERRY_SERVER_ERRORS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "keyferry/v1/errors.pb.h"

namespace keyferry::server {

// A status that carries an ErrorDetail as payload (type URL "type.googleapis.com/keyferry.v1.ErrorDetail"). Messages
// and details never hold a value. docs/errors.md lists the reasons.
absl::Status MakeError(absl::StatusCode code, absl::string_view message, const v1::ErrorDetail& detail);

// INVALID_ARGUMENT, reason INVALID_FIELD: "credential.description: longer than 1024 bytes".
absl::Status InvalidField(absl::string_view field, absl::string_view problem, absl::string_view next_step);

// NOT_FOUND, reason NOT_FOUND, for what is absent and for what is hidden alike.
absl::Status NotFound(absl::string_view resource);

// ALREADY_EXISTS, reason ALREADY_EXISTS.
absl::Status AlreadyExists(absl::string_view resource);

// ABORTED, reason STALE_ETAG or CONFLICT.
absl::Status StaleEtag(absl::string_view resource);
absl::Status Conflict(absl::string_view resource);

// FAILED_PRECONDITION, reason SCOPE_SUSPENDED: the tier does not include the scope.
absl::Status Suspended(absl::string_view resource);

// Turns what the store answered into what a caller may see: keeps the code, drops file names and other inner facts
// (they are logged), and says what to do.
absl::Status FromStore(const absl::Status& status, absl::string_view resource);

// The detail of a status, if it has one.
bool GetDetail(const absl::Status& status, v1::ErrorDetail* detail);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_ERRORS_H_
