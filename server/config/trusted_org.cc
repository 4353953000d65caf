#include "server/config/trusted_org.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "server/names.h"

namespace keyferry::server {
namespace {

bool IsNamespacePattern(absl::string_view text) {
  const absl::string_view name = absl::StripSuffix(text, "*");
  return !text.empty() && name.size() <= 63 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

bool Matches(absl::string_view pattern, absl::string_view name_space) {
  if (absl::ConsumeSuffix(&pattern, "*")) return absl::StartsWith(name_space, pattern);
  return name_space == pattern;
}

}  // namespace

bool TrustedOrg::Takes(absl::string_view name_space, absl::string_view entered) const {
  if (entered != org) return false;
  return namespaces.empty() || std::any_of(namespaces.begin(), namespaces.end(), [&](const std::string& pattern) {
           return !name_space.empty() && Matches(pattern, name_space);
         });
}

absl::StatusOr<TrustedOrg> ParseTrustedOrg(absl::string_view entry) {
  const std::vector<absl::string_view> parts = absl::StrSplit(entry, absl::MaxSplits('=', 1));
  TrustedOrg trusted;
  trusted.org = std::string(parts[0]);
  if (!CheckId(trusted.org, "orgs").ok()) {
    return absl::InvalidArgumentError("holds something that is no id of an organization");
  }
  if (parts.size() == 1) return trusted;
  trusted.namespaces = absl::StrSplit(parts[1], ',');
  if (!std::all_of(trusted.namespaces.begin(), trusted.namespaces.end(), IsNamespacePattern)) {
    return absl::InvalidArgumentError(
        "holds namespaces in another form than `acme=tools,ml-*`: names, of which the last letter may be `*`");
  }
  return trusted;
}

}  // namespace keyferry::server
