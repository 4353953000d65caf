#include "client/cli/outcome.h"

#include <utility>

namespace keyferry::client::cli {

Failure UsageFailure(std::string line) { return {ExitCode::kUsage, std::move(line)}; }

Failure BadData(std::string line) { return {ExitCode::kBadData, std::move(line)}; }

ExitCode ExitCodeFor(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kOk:
      return ExitCode::kOk;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return ExitCode::kBadData;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return ExitCode::kUnavailable;
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
      return ExitCode::kNotPermitted;
    default:
      return ExitCode::kOther;
  }
}

Failure FailureFrom(const ApiError& error) { return {ExitCodeFor(error.code), error.OneLine(), error.code}; }

std::string ExitCodeHelp() {
  return "Exit codes:\n"
         "  0   done\n"
         "  1   failed for another reason (not found, already exists, ...)\n"
         "  64  wrong use of the command line, or no connection settings\n"
         "  65  bad input: a value, name or file was refused\n"
         "  69  the server could not be reached or did not answer in time\n"
         "  77  not signed in, or not permitted\n";
}

}  // namespace keyferry::client::cli
