#include "server/errors.h"

#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"

namespace keyferry::server {
namespace {

constexpr char kDetailUrl[] = "type.googleapis.com/keyferry.v1.ErrorDetail";

absl::Status Error(absl::StatusCode code, absl::string_view message, absl::string_view reason,
                   absl::string_view resource, absl::string_view next_step) {
  v1::ErrorDetail detail;
  detail.set_reason(std::string(reason));
  detail.set_resource(std::string(resource));
  detail.set_next_step(std::string(next_step));
  return MakeError(code, message, detail);
}

}  // namespace

absl::Status MakeError(absl::StatusCode code, absl::string_view message, const v1::ErrorDetail& detail) {
  absl::Status status(code, message);
  status.SetPayload(kDetailUrl, absl::Cord(detail.SerializeAsString()));
  return status;
}

absl::Status InvalidField(absl::string_view field, absl::string_view problem, absl::string_view next_step) {
  v1::ErrorDetail detail;
  detail.set_reason("INVALID_FIELD");
  detail.set_field(std::string(field));
  detail.set_next_step(std::string(next_step));
  return MakeError(absl::StatusCode::kInvalidArgument, absl::StrCat(field, ": ", problem), detail);
}

absl::Status NotFound(absl::string_view resource) {
  return Error(absl::StatusCode::kNotFound, absl::StrCat(resource, ": not found"), "NOT_FOUND", resource,
               "Check the name, and that you may see it.");
}

absl::Status AlreadyExists(absl::string_view resource) {
  return Error(absl::StatusCode::kAlreadyExists, absl::StrCat(resource, ": already exists"), "ALREADY_EXISTS", resource,
               "Choose another name, or change the existing one.");
}

absl::Status StaleEtag(absl::string_view resource) {
  return Error(absl::StatusCode::kAborted, absl::StrCat(resource, ": changed since its etag was read"), "STALE_ETAG",
               resource, "Read it again and repeat the change with the new etag.");
}

absl::Status Conflict(absl::string_view resource) {
  return Error(absl::StatusCode::kAborted, absl::StrCat(resource, ": changed at the same time by another call"),
               "CONFLICT", resource, "Repeat the call.");
}

absl::Status Suspended(absl::string_view resource) {
  return Error(absl::StatusCode::kFailedPrecondition,
               absl::StrCat(resource, ": suspended, the organization's tier does not include this scope"),
               "SCOPE_SUSPENDED", resource, "Raise the organization's tier, or use a scope that the tier includes.");
}

absl::Status FromStore(const absl::Status& status, absl::string_view resource) {
  v1::ErrorDetail detail;
  if (status.ok() || GetDetail(status, &detail)) return status;
  switch (status.code()) {
    case absl::StatusCode::kNotFound:
      return NotFound(resource);
    case absl::StatusCode::kAlreadyExists:
      return AlreadyExists(resource);
    case absl::StatusCode::kAborted:
      return Conflict(resource);
    case absl::StatusCode::kDataLoss:
      return Error(status.code(), absl::StrCat(resource, ": the stored record does not authenticate"), "DATA_LOSS",
                   resource, "Ask the operator to run `keyferryd verify` and restore from a backup.");
    case absl::StatusCode::kResourceExhausted:
      return Error(status.code(), "the store has no space left; nothing was changed", "STORE_FULL", resource,
                   "Ask the operator to free disk space, then repeat the call.");
    case absl::StatusCode::kFailedPrecondition:
      return Error(status.code(), "the store accepts no writes since one of them failed", "STORE_READ_ONLY", resource,
                   "Ask the operator to check the disk and restart keyferryd.");
    case absl::StatusCode::kUnavailable:
      return Error(status.code(), "the store could not be read or written", "STORE_UNAVAILABLE", resource,
                   "Repeat the call; if it goes on, ask the operator to check the disk.");
    case absl::StatusCode::kDeadlineExceeded:
      return Error(status.code(), "the store did not answer in time", "STORE_TIMEOUT", resource, "Repeat the call.");
    case absl::StatusCode::kInvalidArgument:
      return Error(status.code(), absl::StrCat(resource, ": too large to store"), "TOO_LARGE", resource,
                   "Make it smaller.");
    default:
      return Error(status.code(), "the store failed", "STORE_ERROR", resource, "Ask the operator to read the log.");
  }
}

bool GetDetail(const absl::Status& status, v1::ErrorDetail* detail) {
  const auto payload = status.GetPayload(kDetailUrl);
  return payload.has_value() && detail->ParseFromString(std::string(*payload));
}

}  // namespace keyferry::server
