#ifndef KEYFERRY_CLIENT_FILES_H_
#define KEYFERRY_CLIENT_FILES_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/secret_text.h"

namespace keyferry::client {

// All errors are INVALID_ARGUMENT in the form "what: where; what to do". `what` names the file's role, e.g. "token
// file".

// Reads a regular file of at most `max_size` bytes.
absl::StatusOr<std::string> ReadFile(const std::string& path, absl::string_view what, size_t max_size);

// As ReadFile, and refuses a file that other users (those outside its group) can read or write.
absl::StatusOr<SecretText> ReadSecretFile(const std::string& path, absl::string_view what, size_t max_size);

// As ReadFile, and refuses a file that is not the caller's or root's, or that its group or others can write.
absl::StatusOr<std::string> ReadOwnFile(const std::string& path, absl::string_view what, size_t max_size);

// Reads the text of an API token or, as `what` then says, of another kind of token: less one trailing newline, not
// empty, visible ASCII characters only.
absl::StatusOr<SecretText> ReadTokenFile(const std::string& path, absl::string_view what = "token file");

}  // namespace keyferry::client

#endif  // KEYFERRY_CLIENT_FILES_H_
