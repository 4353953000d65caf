#include "injector/exec/environment.h"

#include <string.h>

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "injector/exec/variable_names.h"

namespace keyferry::injector {
namespace {

// An entry without '=' is its own name: execve passes such entries on, so they are kept.
absl::string_view NameOf(absl::string_view entry) { return entry.substr(0, entry.find('=')); }

absl::Status CheckBindings(absl::Span<const BoundVariable> bindings) {
  absl::flat_hash_set<absl::string_view> seen;
  for (const BoundVariable& binding : bindings) {
    if (!IsVariableName(binding.name)) {
      return absl::InvalidArgumentError(
          "the server answered with a variable whose name is not one; nothing was launched");
    }
    if (IsOwnName(binding.name)) {
      return absl::PermissionDeniedError(
          absl::StrCat("the server answered with ", binding.name, ", which is Keyferry's own; it is never injected"));
    }
    if (IsHijackingName(binding.name) && !binding.allowed_by_org) {
      return absl::PermissionDeniedError(absl::StrCat("the server answered with ", binding.name,
                                                      ", which changes how a process starts, without saying that the "
                                                      "organization allows it; it is not injected"));
    }
    if (!seen.insert(binding.name).second) {
      return absl::InvalidArgumentError(absl::StrCat("the server answered with ", binding.name, " twice"));
    }
    if (binding.value.find('\0') != absl::string_view::npos) {
      return absl::InvalidArgumentError(absl::StrCat("the value of ", binding.name,
                                                     " holds a NUL byte, which no environment variable can; store it "
                                                     "again without"));
    }
  }
  return absl::OkStatus();
}

bool Inherits(absl::string_view name, const InheritRules& rules, absl::Span<const BoundVariable> bindings) {
  if (IsOwnName(name) || (rules.clean && !IsKeptWhenClean(name))) return false;
  if (std::find(rules.unset.begin(), rules.unset.end(), name) != rules.unset.end()) return false;
  return std::none_of(bindings.begin(), bindings.end(), [name](const BoundVariable& b) { return b.name == name; });
}

}  // namespace

Environment::Environment(Environment&& other) noexcept
    : entries_(std::exchange(other.entries_, {})), pointers_(std::exchange(other.pointers_, {nullptr})) {}

Environment& Environment::operator=(Environment&& other) noexcept {
  if (this == &other) return *this;
  Wipe();
  entries_ = std::exchange(other.entries_, {});
  pointers_ = std::exchange(other.pointers_, {nullptr});
  return *this;
}

Environment::~Environment() { Wipe(); }

void Environment::Wipe() {
  for (Entry& entry : entries_) explicit_bzero(entry.text.get(), entry.size);
}

char* Environment::Allocate(size_t size) {
  Entry& entry = entries_.emplace_back();
  entry.text = std::make_unique<char[]>(size + 1);
  entry.size = size;
  pointers_.back() = entry.text.get();
  pointers_.push_back(nullptr);
  return entry.text.get();
}

void Environment::Append(absl::string_view entry) {
  char* text = Allocate(entry.size());
  std::copy(entry.begin(), entry.end(), text);
}

void Environment::Append(absl::string_view name, absl::string_view value) {
  char* text = Allocate(name.size() + 1 + value.size());
  text = std::copy(name.begin(), name.end(), text);
  *text++ = '=';
  std::copy(value.begin(), value.end(), text);
}

const char* Environment::Find(absl::string_view name) const {
  for (const Entry& entry : entries_) {
    absl::string_view text(entry.text.get(), entry.size);
    if (text.size() > name.size() && text[name.size()] == '=' && NameOf(text) == name) {
      return entry.text.get() + name.size() + 1;
    }
  }
  return nullptr;
}

absl::StatusOr<Environment> BuildEnvironment(const char* const* inherited, const InheritRules& rules,
                                             absl::Span<const BoundVariable> bindings) {
  if (absl::Status status = CheckBindings(bindings); !status.ok()) return status;
  Environment result;
  for (; inherited != nullptr && *inherited != nullptr; ++inherited) {
    if (Inherits(NameOf(*inherited), rules, bindings)) result.Append(*inherited);
  }
  for (const BoundVariable& binding : bindings) result.Append(binding.name, binding.value);
  return result;
}

}  // namespace keyferry::injector
