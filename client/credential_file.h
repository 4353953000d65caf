#ifndef KEYFERRY_CLIENT_CREDENTIAL_FILE_H_
#define KEYFERRY_CLIENT_CREDENTIAL_FILE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "client/secret_text.h"

namespace keyferry::client {

enum class CredentialFileFormat { kDotenv, kJson, kYaml };

// One credential of a file.
struct FileCredential {
  std::string name;
  SecretText value;
  std::string description;
  // InfinitePast if none is given.
  absl::Time rotate_by = absl::InfinitePast();
};

// Reads the credentials of a file, in its order: a dotenv file (dotenv.h), or a JSON object or YAML mapping of NAME to
// the value or to {value, description, rotateBy}, with rotateBy as 2027-01-31 or 2027-01-31T10:00:00Z. Values are texts
// of 1 byte to 64 KiB without NUL; in YAML also plain words and numbers, taken as they are written.
//
// INVALID_ARGUMENT in the form "FILE:LINE:COLUMN: problem" without anything of a value: not of the format, a name that
// is none or comes twice, an unknown key, nothing in it. The JSON and YAML parsers' own buffers are not overwritten.
absl::StatusOr<std::vector<FileCredential>> ParseCredentialFile(absl::string_view text, CredentialFileFormat format,
                                                                absl::string_view file_name);

}  // namespace keyferry::client

#endif  // KEYFERRY_CLIENT_CREDENTIAL_FILE_H_
