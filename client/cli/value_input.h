#ifndef KEYFERRY_CLIENT_CLI_VALUE_INPUT_H_
#define KEYFERRY_CLIENT_CLI_VALUE_INPUT_H_

#include <string>

#include "client/cli/outcome.h"
#include "client/cli/streams.h"
#include "client/secret_text.h"

namespace keyferry::client::cli {

// The largest value of a credential (SPEC 2).
inline constexpr size_t kMaxValueBytes = 64 * 1024;

// Reads a credential's value: from `file` if that is not empty (any kind of file; "-" is standard input), else, on a
// terminal, from a hidden prompt asked twice, else from standard input. Byte for byte but for exactly one trailing
// newline, which is removed. kBadData for an empty or too long value, one with a NUL byte, two prompts that differ or a
// file that cannot be read; the line never shows any of the value. A prompt uses standard input and writes to
// `streams.error`.
Outcome ReadValue(const Streams& streams, const std::string& file, SecretText* value);

// A secret that is no credential's value.
struct SecretQuestion {
  // "client secret".
  std::string name;
  size_t max_size = 0;
  // An empty answer means that there is none.
  bool optional = false;
};

// Reads one as ReadValue reads a value, but asks once on a terminal, also for "-": such a secret is pasted.
Outcome ReadSecret(const Streams& streams, const std::string& file, const SecretQuestion& question, SecretText* secret);

// Reads everything from `fd`, or the first `max_size` + 1 bytes if there are more. kBadData, naming `where`, if reading
// fails.
Outcome ReadAll(int fd, size_t max_size, const std::string& where, SecretText* text);

}  // namespace keyferry::client::cli

#endif  // KEYFERRY_CLIENT_CLI_VALUE_INPUT_H_
