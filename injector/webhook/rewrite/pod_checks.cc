#include "injector/webhook/rewrite/pod_checks.h"

#include <algorithm>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "injector/webhook/rewrite/added_names.h"
#include "injector/webhook/rewrite/node_checks.h"
#include "injector/webhook/rewrite/paths.h"
#include "injector/webhook/rewrite/refusal.h"
#include "injector/webhook/rewrite/session_checks.h"

namespace keyferry::injector::webhook {
namespace {

constexpr char kOwnPath[] = "/keyferry";

const ChosenContainer* FindChosen(const PodWishes& wishes, const ContainerView& container) {
  if (container.kind == ContainerKind::kEphemeral) return nullptr;
  for (const ChosenContainer& chosen : wishes.containers) {
    if (chosen.name == container.name) return &chosen;
  }
  return nullptr;
}

bool IsWindows(const PodView& pod) {
  const Json* const os = Member(pod.spec(), "os");
  const Json* const selector = Member(pod.spec(), "nodeSelector");
  return (os != nullptr && MemberText(*os, "name") == "windows") ||
         (selector != nullptr && MemberText(*selector, "kubernetes.io/os") == "windows");
}

absl::Status CheckNamespaces(const PodView& pod) {
  for (const char* const field : {"shareProcessNamespace", "hostPID"}) {
    if (!MemberIsTrue(pod.spec(), field)) continue;
    return Refuse("the containers of the pod would see the agent's process, its memory and its files",
                  absl::StrCat("spec.", field), "set it to false");
  }
  return absl::OkStatus();
}

// Another token for keyferryd would be an identity that is not the agent's alone.
absl::Status CheckTokens(const PodView& pod, const std::string& audience) {
  for (const Json& volume : MemberList(pod.spec(), "volumes")) {
    const std::string name = MemberText(volume, "name");
    const Json* const projected = Member(volume, "projected");
    if (projected == nullptr || name == kIdentityVolume) continue;
    for (const Json& source : MemberList(*projected, "sources")) {
      const Json* const token = Member(source, "serviceAccountToken");
      if (token == nullptr || MemberText(*token, "audience") != audience) continue;
      return Refuse(absl::StrCat("the volume holds a token for Keyferry (audience ", audience, ")"),
                    absl::StrCat("spec.volumes[", name, "]"), "remove it: only the agent is to have one");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckVariables(const ContainerView& container) {
  for (const Json& variable : MemberList(*container.json, "env")) {
    const std::string name = MemberText(variable, "name");
    if (!absl::StartsWith(name, "KEYFERRY_")) continue;
    for (const char* const part : {"TOKEN", "SESSION", "CLIENT_KEY"}) {
      if (!absl::StrContains(name, part)) continue;
      return Refuse(absl::StrCat("the container is given an identity of its own, ", name), container.Path(),
                    "remove the variable: the agent has the identity");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckMounts(const ContainerView& container, bool chosen) {
  for (const Json& mount : MemberList(*container.json, "volumeMounts")) {
    const std::string volume = MemberText(mount, "name");
    if (IsAddedVolume(volume)) {
      return Refuse(absl::StrCat("the container mounts \"", volume, "\", a volume that is added"), container.Path(),
                    "remove the mount, or give the volume another name");
    }
    const std::string path = MemberText(mount, "mountPath");
    if (chosen && PathsOverlap(path, kOwnPath)) {
      return Refuse(absl::StrCat("the mount at ", path, " is where ", kOwnPath, " is added"), container.Path(),
                    "mount it elsewhere");
    }
  }
  for (const Json& device : MemberList(*container.json, "volumeDevices")) {
    if (!IsAddedVolume(MemberText(device, "name"))) continue;
    return Refuse("the container uses a volume that is added as a device", container.Path(), "remove the device");
  }
  return absl::OkStatus();
}

absl::Status CheckNotWrapped(const ContainerView& container) {
  const auto command = MemberTexts(*container.json, "command");
  if (!command.has_value() || command->empty() || command->front() != kLaunchPath) return absl::OkStatus();
  return Refuse("the command is wrapped already", container.Path(),
                absl::StrCat("give the command itself, without ", kLaunchPath));
}

}  // namespace

absl::Status CheckPod(const PodView& pod, const PodWishes& wishes, const RewriteConfig& config) {
  if (IsWindows(pod)) {
    return Refuse("a pod for Windows", "spec.os", absl::StrCat("remove the label ", kInjectLabel, ", or use Linux"));
  }
  KEYFERRY_RETURN_IF_REFUSED(CheckNamespaces(pod));
  KEYFERRY_RETURN_IF_REFUSED(CheckHostPaths(pod));
  KEYFERRY_RETURN_IF_REFUSED(CheckTokens(pod, config.audience));
  std::set<std::string> names;
  for (const ContainerView& container : pod.containers()) {
    if (!names.insert(container.name).second) {
      return Refuse("two containers have this name", container.Path(), "rename one");
    }
    const ChosenContainer* const chosen = FindChosen(wishes, container);
    if (chosen == nullptr) continue;
    if (IsAddedContainer(container.name)) {
      return Refuse(absl::StrCat("\"", container.name, "\" is added and gets no credentials"),
                    "annotation keyferry.dev/mcp-server", "name containers of the pod's own");
    }
    KEYFERRY_RETURN_IF_REFUSED(CheckVariables(container));
    if (!chosen->session_volume.empty()) KEYFERRY_RETURN_IF_REFUSED(CheckSession(pod, chosen->session_volume));
  }
  return absl::OkStatus();
}

absl::Status CheckNoConflict(const PodView& pod, const PodWishes& wishes) {
  for (const Json& volume : MemberList(pod.spec(), "volumes")) {
    const std::string name = MemberText(volume, "name");
    if (!IsAddedVolume(name)) continue;
    return Refuse("the volume has the name of one that is added", absl::StrCat("spec.volumes[", name, "]"),
                  "rename it");
  }
  for (const ContainerView& container : pod.containers()) {
    if (IsAddedContainer(container.name)) {
      return Refuse("the container has the name of one that is added", container.Path(), "rename it");
    }
    const bool chosen = FindChosen(wishes, container) != nullptr;
    KEYFERRY_RETURN_IF_REFUSED(CheckMounts(container, chosen));
    if (chosen) KEYFERRY_RETURN_IF_REFUSED(CheckNotWrapped(container));
  }
  return absl::OkStatus();
}

std::vector<std::string> PodWarnings(const PodView& pod, const PodWishes& wishes) {
  std::vector<std::string> warnings = NodeWarnings(pod);
  for (const ContainerView& container : pod.containers()) {
    const ChosenContainer* const chosen = FindChosen(wishes, container);
    if (chosen != nullptr && !chosen->launch.redact) {
      warnings.push_back(absl::StrCat("keyferry: the output of ", container.Path(),
                                      " is not redacted; values that it prints are in the pod's log"));
    }
    if (chosen != nullptr && chosen->allow_debug) {
      warnings.push_back(absl::StrCat("keyferry: ", container.Path(),
                                      " may be debugged; whoever may do that can read its credentials"));
    }
  }
  return warnings;
}

}  // namespace keyferry::injector::webhook
