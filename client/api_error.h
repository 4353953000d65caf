#ifndef KEYFERRY_CLIENT_API_ERROR_H_
#define KEYFERRY_CLIENT_API_ERROR_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace grpc {
class Status;
}
namespace keyferry::v1 {
class ErrorDetail;
}

namespace keyferry::client {

// Why a call failed: the gRPC status and the ErrorDetail that came with it. Never holds a value.
struct ApiError {
  struct MissingVariable {
    std::string variable;
    // Resource names of the credentials that were tried, widest last.
    std::vector<std::string> tried;
    std::string next_step;
    // Where a person connects to the OAuth provider that the variable is bound to, if that is what is missing.
    std::string connect_url;
  };

  absl::StatusCode code = absl::StatusCode::kUnknown;
  std::string message;
  // The fields of keyferry.v1.ErrorDetail, empty where the server said nothing.
  std::string reason;
  std::string resource;
  std::string field;
  std::string next_step;
  std::vector<MissingVariable> missing_variables;
  // How long to wait before another try; zero if that would not help.
  absl::Duration retry_delay;

  // "message: where; next step" on one line, control characters replaced; ready to follow "keyferry: ".
  std::string OneLine() const;
};

// Decodes a failed call's status. `trailer` is the text of `grpc-status-details-bin` (a google.rpc.Status); a missing
// or malformed one yields only code and message.
ApiError DecodeApiError(const grpc::Status& status);
ApiError DecodeApiError(absl::StatusCode code, absl::string_view message, absl::string_view trailer);

// The same of a detail that came without a status, as the problem that a watch is sent. Where the server's words are
// missing its reason stands for them.
ApiError DecodeApiError(absl::StatusCode code, const v1::ErrorDetail& detail);

}  // namespace keyferry::client

#endif  // KEYFERRY_CLIENT_API_ERROR_H_
