#include "injector/webhook/rewrite/setting_forms.h"

#include <algorithm>
#include <cctype>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace keyferry::injector::webhook {
namespace {

bool All(absl::string_view text, absl::string_view extra, bool upper) {
  return std::all_of(text.begin(), text.end(), [&](unsigned char c) {
    return std::isdigit(c) != 0 || (c >= 'a' && c <= 'z') || (upper && c >= 'A' && c <= 'Z') ||
           absl::StrContains(extra, static_cast<char>(c));
  });
}

bool IsLowerOrDigit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

// A positive decimal number without a sign or an exponent.
bool IsDecimal(absl::string_view text) {
  double value = 0;
  return !text.empty() && text.size() <= 16 && std::isdigit(static_cast<unsigned char>(text.front())) != 0 &&
         std::isdigit(static_cast<unsigned char>(text.back())) != 0 &&
         text.find_first_not_of("0123456789.") == absl::string_view::npos && absl::SimpleAtod(text, &value) &&
         value > 0;
}

}  // namespace

bool IsDuration(absl::string_view text, absl::Duration shortest, absl::Duration longest) {
  absl::Duration duration;
  return text.size() <= 32 && All(text, "", /*upper=*/false) && absl::ParseDuration(text, &duration) &&
         duration >= shortest && duration <= longest;
}

bool IsCpuQuantity(absl::string_view text) {
  const bool milli = absl::ConsumeSuffix(&text, "m");
  return IsDecimal(text) && !(milli && absl::StrContains(text, '.'));
}

bool IsMemoryQuantity(absl::string_view text) {
  for (const char* const unit : {"Ki", "Mi", "Gi", "k", "M", "G"}) {
    if (absl::ConsumeSuffix(&text, unit)) break;
  }
  return IsDecimal(text);
}

bool IsImage(absl::string_view text) {
  return !text.empty() && text.size() <= 512 && All(text, "./:@_-", /*upper=*/true) && text.front() != '-' &&
         text.front() != '.';
}

bool ParseUid(absl::string_view text, int64_t* uid) {
  return !text.empty() && text.size() <= 10 && All(text, "", /*upper=*/false) && absl::SimpleAtoi(text, uid) &&
         *uid >= 1 && *uid <= 2147483647;
}

bool IsId(absl::string_view text) {
  return !text.empty() && text.size() <= 63 && All(text, "._-", /*upper=*/false) && IsLowerOrDigit(text.front()) &&
         IsLowerOrDigit(text.back());
}

bool IsMcpServer(absl::string_view text) {
  if (!absl::StartsWith(text, "orgs/")) return IsId(text);
  const std::vector<absl::string_view> parts = absl::StrSplit(text, '/');
  const bool of_org = parts.size() == 4;
  if (!of_org && (parts.size() != 6 || parts[2] != "teams" || !IsId(parts[3]))) return false;
  return IsId(parts[1]) && parts[parts.size() - 2] == "mcpServers" && IsId(parts.back());
}

bool IsKubernetesName(absl::string_view text, size_t longest) {
  return !text.empty() && text.size() <= longest && All(text, ".-", /*upper=*/false) && IsLowerOrDigit(text.front()) &&
         IsLowerOrDigit(text.back());
}

bool IsFileName(absl::string_view text) {
  return !text.empty() && text.size() <= 253 && All(text, "._-", /*upper=*/true) && text != "." &&
         !absl::StartsWith(text, "..");
}

bool IsEnvironmentName(absl::string_view text) {
  return !text.empty() && text.size() <= 128 && All(text, "._-", /*upper=*/true) &&
         std::isdigit(static_cast<unsigned char>(text.front())) == 0;
}

bool IsAddress(absl::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos || colon == 0 || text.size() > 260) return false;
  int port = 0;
  const absl::string_view port_text = text.substr(colon + 1);
  return All(port_text, "", /*upper=*/false) && absl::SimpleAtoi(port_text, &port) && port > 0 && port < 65536 &&
         All(text.substr(0, colon), ".-:[]", /*upper=*/true);
}

}  // namespace keyferry::injector::webhook
