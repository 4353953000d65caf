#ifndef KEYFERRY_INJECTOR_EXEC_VARIABLE_NAMES_H_
#define KEYFERRY_INJECTOR_EXEC_VARIABLE_NAMES_H_

#include "absl/strings/string_view.h"

namespace keyferry::injector {

// Whether the text is `[A-Za-z_][A-Za-z0-9_]*` of at most 128 bytes, the form of a bound variable's name.
bool IsVariableName(absl::string_view name);

// Whether a variable of this name changes how a process starts or what code it loads (SPEC 2). keyferryd refuses such
// bindings; the injector refuses them again, so that a server that was taken over cannot run code where it launches.
bool IsHijackingName(absl::string_view name);

// Whether the variable belongs to Keyferry itself and must never reach the launched process.
bool IsOwnName(absl::string_view name);

// Whether `--clean-env` keeps the variable: HOME, PATH, USER, LANG, LC_*, TERM, TZ, TMPDIR.
bool IsKeptWhenClean(absl::string_view name);

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_EXEC_VARIABLE_NAMES_H_
