#include "injector/webhook/rewrite/added_names.h"

#include <cstddef>
#include <cstdint>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace keyferry::injector::webhook {
namespace {

constexpr char kSocketPrefix[] = "keyferry-socket-";
constexpr size_t kLongestLabel = 63;

// FNV-1a, 64 bits: not for security, since a container's name is its pod's own.
uint64_t Hash(absl::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

}  // namespace

std::string SocketVolume(absl::string_view container) {
  const std::string whole = absl::StrCat(kSocketPrefix, container);
  if (whole.size() <= kLongestLabel) return whole;
  return absl::StrFormat("%s-%016x", whole.substr(0, kLongestLabel - 17), Hash(container));
}

bool IsAddedContainer(absl::string_view name) { return name == kInstallContainer || name == kAgentContainer; }

bool IsAddedVolume(absl::string_view name) {
  return name == kLaunchVolume || name == kIdentityVolume || name == kControlVolume ||
         absl::StartsWith(name, kSocketPrefix);
}

}  // namespace keyferry::injector::webhook
