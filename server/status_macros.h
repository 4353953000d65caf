#ifndef KEYFERRY_SERVER_STATUS_MACROS_H_
#define KEYFERRY_SERVER_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"

// Returns the status of an absl::Status expression from the enclosing function if it is an error.
#define RETURN_IF_ERROR(expression)                            \
  do {                                                         \
    absl::Status status_macro_result = (expression);           \
    if (!status_macro_result.ok()) return status_macro_result; \
  } while (false)

// Moves the value of an absl::StatusOr expression into `declaration`, or returns its status.
#define ASSIGN_OR_RETURN(declaration, expression) \
  ASSIGN_OR_RETURN_NAMED(KEYFERRY_STATUS_JOIN(status_macro_or_, __LINE__), declaration, expression)

#define ASSIGN_OR_RETURN_NAMED(name, declaration, expression) \
  auto name = (expression);                                   \
  if (!name.ok()) return std::move(name).status();            \
  declaration = *std::move(name)

#define KEYFERRY_STATUS_JOIN(a, b) KEYFERRY_STATUS_JOIN_INNER(a, b)
#define KEYFERRY_STATUS_JOIN_INNER(a, b) a##b

#endif  // KEYFERRY_SERVER_STATUS_MACROS_H_
