#include "injector/exec/variable_names.h"

#include <algorithm>
#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"

namespace keyferry::injector {
namespace {

constexpr size_t kMaxNameBytes = 128;
constexpr absl::string_view kOwnPrefix = "KEYFERRY_";

constexpr std::array<absl::string_view, 16> kHijackingNames = {
    "PATH",
    "IFS",
    "BASH_ENV",
    "ENV",
    "NODE_OPTIONS",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PYTHONHOME",
    "PERL5LIB",
    "PERL5OPT",
    "RUBYOPT",
    "RUBYLIB",
    "JAVA_TOOL_OPTIONS",
    "_JAVA_OPTIONS",
    "GCONV_PATH",
    "GIT_SSH_COMMAND",
};

constexpr std::array<absl::string_view, 7> kKeptNames = {"HOME", "PATH", "USER", "LANG", "TERM", "TZ", "TMPDIR"};

template <size_t n>
bool Contains(const std::array<absl::string_view, n>& names, absl::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

bool IsVariableName(absl::string_view name) {
  if (name.empty() || name.size() > kMaxNameBytes || absl::ascii_isdigit(name[0])) return false;
  return std::all_of(name.begin(), name.end(), [](char c) { return c == '_' || absl::ascii_isalnum(c); });
}

bool IsHijackingName(absl::string_view name) {
  return Contains(kHijackingNames, name) || absl::StartsWith(name, "LD_") || absl::StartsWith(name, "DYLD_") ||
         IsOwnName(name);
}

bool IsOwnName(absl::string_view name) { return absl::StartsWith(name, kOwnPrefix); }

bool IsKeptWhenClean(absl::string_view name) { return Contains(kKeptNames, name) || absl::StartsWith(name, "LC_"); }

}  // namespace keyferry::injector
