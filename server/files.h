#ifndef KEYFERRY_SERVER_FILES_H_
#define KEYFERRY_SERVER_FILES_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/crypto/secret_bytes.h"

namespace keyferry::server {

// Small private files. Errors name the path and the system's reason: NOT_FOUND, PERMISSION_DENIED, UNAVAILABLE.

// The whole content, at most 64 KiB.
absl::StatusOr<storage::SecretBytes> ReadSmallFile(const std::string& path);

// Replaces the file by one of mode 0600 with this content, synced; readers see the old one or the new one.
absl::Status WritePrivateFile(const std::string& path, absl::string_view content);

absl::StatusOr<bool> IsEmptyDirectory(const std::string& path);

// Makes the directory with mode 0700 if there is none. An existing empty one that is ours is narrowed to 0700; one that
// holds something and that others can read is FAILED_PRECONDITION.
absl::Status EnsurePrivateDirectory(const std::string& path);

// Whether only the owner can read the file. NOT_FOUND if there is none.
absl::Status CheckPrivateFile(const std::string& path);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_FILES_H_
