#ifndef KEYFERRY_CLIENT_CLI_OUTCOME_H_
#define KEYFERRY_CLIENT_CLI_OUTCOME_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "client/api_error.h"

namespace keyferry::client::cli {

// Exit codes of `keyferry`, after sysexits(3). Scripts depend on them.
enum class ExitCode {
  kOk = 0,
  kOther = 1,
  kUsage = 64,
  kBadData = 65,
  kUnavailable = 69,
  kNotPermitted = 77,
};

// Why a command failed: its exit code and one line, "what: where; next step", for standard error.
struct Failure {
  ExitCode exit_code = ExitCode::kOther;
  std::string line;
  // What the server answered, kOk if the failure is not its.
  absl::StatusCode code = absl::StatusCode::kOk;
};

// No failure means success.
using Outcome = std::optional<Failure>;

Failure UsageFailure(std::string line);
Failure BadData(std::string line);

// INVALID_ARGUMENT and OUT_OF_RANGE are bad data, UNAVAILABLE and DEADLINE_EXCEEDED unavailable, UNAUTHENTICATED and
// PERMISSION_DENIED not permitted, all else other.
ExitCode ExitCodeFor(absl::StatusCode code);
Failure FailureFrom(const ApiError& error);

// A line for each exit code, for --help.
std::string ExitCodeHelp();

}  // namespace keyferry::client::cli

#define KEYFERRY_RETURN_IF_FAILED(expression)                                                            \
  do {                                                                                                   \
    if (::keyferry::client::cli::Outcome outcome_ = (expression); outcome_.has_value()) return outcome_; \
  } while (false)

#endif  // KEYFERRY_CLIENT_CLI_OUTCOME_H_
