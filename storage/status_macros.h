#ifndef KEYFERRY_STORAGE_STATUS_MACROS_H_
#define KEYFERRY_STORAGE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Returns from the function if the expression is an error status.
#ifndef RETURN_IF_ERROR
#define RETURN_IF_ERROR(expression)                           \
  do {                                                        \
    if (absl::Status _status = (expression); !_status.ok()) { \
      return _status;                                         \
    }                                                         \
  } while (false)
#endif

// Declares or assigns `target` from a StatusOr, or returns its error.
#ifndef ASSIGN_OR_RETURN
#define KEYFERRY_CONCAT_INNER(a, b) a##b
#define KEYFERRY_CONCAT(a, b) KEYFERRY_CONCAT_INNER(a, b)
#define KEYFERRY_ASSIGN_OR_RETURN(result, target, expression) \
  auto result = (expression);                                 \
  if (!result.ok()) return std::move(result).status();        \
  target = *std::move(result)
#define ASSIGN_OR_RETURN(target, expression) \
  KEYFERRY_ASSIGN_OR_RETURN(KEYFERRY_CONCAT(_status_or_, __LINE__), target, expression)
#endif

#endif  // KEYFERRY_STORAGE_STATUS_MACROS_H_
