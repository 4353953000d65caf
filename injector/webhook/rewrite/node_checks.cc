#include "injector/webhook/rewrite/node_checks.h"

#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "injector/webhook/rewrite/paths.h"
#include "injector/webhook/rewrite/refusal.h"

namespace keyferry::injector::webhook {
namespace {

// The root contains them.
constexpr const char* kGuardedDirectories[] = {"/proc", "/var/lib/kubelet", "/run", "/var/run"};

// The path of a volume that is a part of the node.
std::optional<std::string> HostPath(const Json& volume) {
  const Json* const host_path = Member(volume, "hostPath");
  if (host_path == nullptr) return std::nullopt;
  return CleanPath(MemberText(*host_path, "path"));
}

// Runtimes take names in any case.
bool AddsCapability(const Json& context, absl::string_view capability) {
  const Json* const capabilities = Member(context, "capabilities");
  if (capabilities == nullptr) return false;
  for (const Json& added : MemberList(*capabilities, "add")) {
    if (!added.is_string()) continue;
    const std::string name = added.get<std::string>();
    for (const std::string& one : {std::string("ALL"), std::string(capability), absl::StrCat("CAP_", capability)}) {
      if (absl::EqualsIgnoreCase(name, one)) return true;
    }
  }
  return false;
}

}  // namespace

std::vector<std::string> WaysToNode(const ContainerView& container) {
  std::vector<std::string> ways;
  const Json* const context = Member(*container.json, "securityContext");
  if (context == nullptr) return ways;
  if (MemberIsTrue(*context, "privileged")) {
    ways.emplace_back("is privileged and can read the agent's memory and identity through the node");
  }
  for (const char* const capability : {"SYS_ADMIN", "SYS_PTRACE"}) {
    if (!AddsCapability(*context, capability)) continue;
    ways.push_back(absl::StrCat("has the capability ", capability, " and may reach the agent through the node"));
  }
  return ways;
}

absl::Status CheckHostPaths(const PodView& pod) {
  for (const Json& volume : MemberList(pod.spec(), "volumes")) {
    const std::optional<std::string> path = HostPath(volume);
    if (!path.has_value()) continue;
    for (const char* const guarded : kGuardedDirectories) {
      if (!PathsOverlap(*path, guarded)) continue;
      return Refuse(absl::StrCat("the volume is ", *path, " of the node, where the agent's identity can be found (",
                                 guarded, ")"),
                    absl::StrCat("spec.volumes[", MemberText(volume, "name"), "]"),
                    "use another directory, or remove the volume");
    }
  }
  return absl::OkStatus();
}

std::vector<std::string> NodeWarnings(const PodView& pod) {
  std::vector<std::string> warnings;
  for (const Json& volume : MemberList(pod.spec(), "volumes")) {
    const std::optional<std::string> path = HostPath(volume);
    if (!path.has_value()) continue;
    warnings.push_back(absl::StrCat("keyferry: spec.volumes[", MemberText(volume, "name"), "] is ", *path,
                                    " of the node; see that nothing of the agent's can be found there"));
  }
  for (const ContainerView& container : pod.containers()) {
    for (const std::string& way : WaysToNode(container)) {
      warnings.push_back(absl::StrCat("keyferry: ", container.Path(), " ", way));
    }
  }
  return warnings;
}

}  // namespace keyferry::injector::webhook
