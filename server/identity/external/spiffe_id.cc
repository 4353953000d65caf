#include "server/identity/external/spiffe_id.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace keyferry::server {
namespace {

bool IsSegment(absl::string_view text) {
  return !text.empty() && text != "." && text != ".." && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '.' || c == '-' || c == '_';
  });
}

}  // namespace

std::string TrustDomainOf(absl::string_view spiffe_id) {
  if (spiffe_id.size() > 2048 || !absl::ConsumePrefix(&spiffe_id, "spiffe://")) return "";
  const size_t slash = spiffe_id.find('/');
  if (slash == absl::string_view::npos || slash == 0 || slash > 255) return "";
  const absl::string_view domain = spiffe_id.substr(0, slash);
  const bool lower = std::none_of(domain.begin(), domain.end(), [](unsigned char c) { return absl::ascii_isupper(c); });
  if (!lower || !IsSegment(domain)) return "";
  for (const absl::string_view segment : absl::StrSplit(spiffe_id.substr(slash + 1), '/')) {
    if (!IsSegment(segment)) return "";
  }
  return std::string(domain);
}

}  // namespace keyferry::server
