#ifndef KEYFERRY_INJECTOR_EXEC_ENVIRONMENT_H_
#define KEYFERRY_INJECTOR_EXEC_ENVIRONMENT_H_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace keyferry::injector {

// The environment of a process to be, in the form that execve takes. Owns its text and overwrites it on destruction.
// Moved, never copied, not printable.
class Environment {
 public:
  Environment() : pointers_(1, nullptr) {}
  Environment(Environment&& other) noexcept;
  Environment& operator=(Environment&& other) noexcept;
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  ~Environment();

  // Adds `entry` as it is, or `name=value`. No check, no replacement of an earlier entry.
  void Append(absl::string_view entry);
  void Append(absl::string_view name, absl::string_view value);

  // Ends with a null pointer; valid until the next Append or the end of this object.
  char* const* pointers() { return pointers_.data(); }
  size_t size() const { return entries_.size(); }

  // The value of the first entry of that name, nullptr if there is none.
  const char* Find(absl::string_view name) const;

 private:
  struct Entry {
    std::unique_ptr<char[]> text;
    // Without the terminating NUL.
    size_t size = 0;
  };
  char* Allocate(size_t size);
  void Wipe();

  std::vector<Entry> entries_;
  std::vector<char*> pointers_;
};

// What the child keeps of the caller's environment.
struct InheritRules {
  // Keeps only what IsKeptWhenClean names.
  bool clean = false;
  // Names that are left out; a binding of the same name still sets it.
  std::vector<std::string> unset;
};

// One variable to inject. The caller owns the bytes and wipes them.
struct BoundVariable {
  absl::string_view name;
  absl::string_view value;
  // The server says that the organization allows this name although it changes how a process starts.
  bool allowed_by_org = false;
};

// The child's environment (SPEC 6): the caller's `inherited` (null-terminated, as in `environ`), less KEYFERRY_* and
// what `rules` leave out, plus the bindings, which replace inherited variables of the same name.
//
// PERMISSION_DENIED: a binding is of a name that hijacks a process and is not marked as allowed, or of KEYFERRY_*.
// INVALID_ARGUMENT: a name is not a variable name, is bound twice, or a value holds a NUL byte. Messages name the
// variable and show nothing of its value.
absl::StatusOr<Environment> BuildEnvironment(const char* const* inherited, const InheritRules& rules,
                                             absl::Span<const BoundVariable> bindings);

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_EXEC_ENVIRONMENT_H_
