#ifndef KEYFERRY_CLIENT_DOTENV_H_
#define KEYFERRY_CLIENT_DOTENV_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/secret_text.h"

namespace keyferry::client {

// The largest value of a credential.
inline constexpr size_t kMaxCredentialValueBytes = 64 * 1024;

// `[A-Za-z_][A-Za-z0-9_]*`, at most 128 bytes.
bool IsVariableName(absl::string_view name);

// INVALID_ARGUMENT in the form "FILE:LINE:COLUMN: problem", counted from 1; columns count bytes.
absl::Status FileError(absl::string_view file_name, int line, int column, absl::string_view problem);

// One `NAME=VALUE`.
struct DotenvEntry {
  std::string name;
  SecretText value;
  // Where the name stands.
  int line = 0;
  int column = 0;
};

// Reads a dotenv file. There is no standard, and readers differ; this one takes what all of them read alike and refuses
// the rest, so that no credential is stored other than as its owner meant it:
//
//   # a comment            blank lines and comments are skipped
//   NAME=value             to the end of the line; blanks at its end and a comment after a blank are left out
//   export NAME=value      as without `export`
//   NAME='raw $value \n'   everything up to the next ', line breaks included
//   NAME="a\nb \"c\" \$d"  with \n \r \t \\ \" \$ \` ; line breaks are kept
//
// A quote must be closed and only a comment may follow it. Refused: blanks around `=`, an empty value, a name that is
// none or comes twice, `\`, `$`, a quote or a backquote in an unquoted value, `$` or a backquote without `\` between
// double quotes (others would replace it), other escapes, NUL, a value of more than 64 KiB. Lines end with LF or CR LF;
// a byte order mark at the start is skipped. An error names its place and shows nothing of any value.
absl::StatusOr<std::vector<DotenvEntry>> ParseDotenv(absl::string_view text, absl::string_view file_name);

}  // namespace keyferry::client

#endif  // KEYFERRY_CLIENT_DOTENV_H_
