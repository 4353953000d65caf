#include "injector/exec/failure.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "injector/exec/launch_failure.h"

namespace keyferry::injector {
namespace {

std::string DescribeMissing(const client::ApiError::MissingVariable& missing) {
  std::string text = missing.variable;
  if (!missing.tried.empty()) absl::StrAppend(&text, " (tried ", absl::StrJoin(missing.tried, ", "), ")");
  const std::string& url = missing.connect_url;
  if (missing.next_step.empty()) {
    absl::StrAppend(&text, ": ", url.empty() ? "set it in one of these scopes" : absl::StrCat("connect at ", url));
    return text;
  }
  absl::StrAppend(&text, ": ", absl::StripSuffix(missing.next_step, "."));
  // The server's own words may name it already.
  if (!url.empty() && !absl::StrContains(missing.next_step, url)) absl::StrAppend(&text, " (connect at ", url, ")");
  return text;
}

std::string DescribeAllMissing(const client::ApiError& error, const std::string& mcp_server) {
  const size_t count = error.missing_variables.size();
  const std::string subject = count == 1 ? "a required variable" : absl::StrCat(count, " required variables");
  return absl::StrCat(subject, " of ", mcp_server, count == 1 ? " has" : " have", " no value: ",
                      absl::StrJoin(error.missing_variables, "; ", [](std::string* out, const auto& missing) {
                        absl::StrAppend(out, DescribeMissing(missing));
                      }));
}

int ExitCodeOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kNotFound:
      return kNotPermitted;
    case absl::StatusCode::kFailedPrecondition:
      return kConfiguration;
    case absl::StatusCode::kInvalidArgument:
      return kUsage;
    default:
      return kUnavailable;
  }
}

}  // namespace

Failure FailureOf(const client::ApiError& error, const std::string& mcp_server) {
  if (error.code == absl::StatusCode::kFailedPrecondition && !error.missing_variables.empty()) {
    return {kConfiguration, Printable(DescribeAllMissing(error, mcp_server))};
  }
  std::string message = error.OneLine();
  if (error.code == absl::StatusCode::kNotFound) {
    absl::StrAppend(&message, " (", mcp_server, " does not exist, or this identity may not see it)");
  }
  return {ExitCodeOf(error.code), Printable(std::move(message))};
}

Failure UsageFailure(const absl::Status& status) { return {kUsage, Printable(std::string(status.message()))}; }

Failure RefusedEnvironment(const absl::Status& status, const std::string& mcp_server) {
  return {kConfiguration, Printable(absl::StrCat(mcp_server, ": ", status.message()))};
}

}  // namespace keyferry::injector
