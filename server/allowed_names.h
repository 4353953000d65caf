#ifndef KEYFERRY_SERVER_ALLOWED_NAMES_H_
#define KEYFERRY_SERVER_ALLOWED_NAMES_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/store.h"

namespace keyferry::server {

// Which of the names that change how a process starts an organization allows (Org.allowed_variable_names), as one view
// of the store holds them. They are read when a name needs them, which hardly any does, and then once. Not thread-safe;
// must not outlive the view.
class AllowedNames {
 public:
  AllowedNames(const storage::StoreView& view, std::string org) : view_(view), org_(std::move(org)) {}

  // Whether a variable or credential may have the name, which must be well-formed (CheckVariableForm). Errors are the
  // store's.
  absl::StatusOr<bool> Allow(absl::string_view name);

  // The same as a status: INVALID_ARGUMENT on `field`.
  absl::Status Check(absl::string_view name, absl::string_view field);

 private:
  const storage::StoreView& view_;
  const std::string org_;
  std::optional<std::vector<std::string>> names_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_ALLOWED_NAMES_H_
