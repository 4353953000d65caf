#include "injector/webhook/rewrite/pod_update.h"

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "injector/webhook/rewrite/added_names.h"
#include "injector/webhook/rewrite/annotations.h"
#include "injector/webhook/rewrite/node_checks.h"
#include "injector/webhook/rewrite/refusal.h"
#include "injector/webhook/rewrite/session_checks.h"

namespace keyferry::injector::webhook {
namespace {

std::set<std::string> VolumesOfAgent(const PodView& pod) {
  std::set<std::string> volumes;
  const ContainerView* const agent = pod.Find(kAgentContainer);
  if (agent == nullptr) return volumes;
  for (const Json& mount : MemberList(*agent->json, "volumeMounts")) volumes.insert(MemberText(mount, "name"));
  return volumes;
}

std::string LabelOf(const PodView& pod) {
  for (const auto& [name, value] : pod.Labels()) {
    if (name == kInjectLabel) return value;
  }
  return "";
}

std::map<std::string, std::string> OwnAnnotations(const PodView& pod) {
  std::map<std::string, std::string> own;
  for (auto& [name, value] : pod.Annotations()) {
    if (absl::StartsWith(name, kAnnotationPrefix)) own[name] = value;
  }
  return own;
}

// Whether it has a socket of the agent's.
bool HasCredentials(const ContainerView& container) {
  for (const Json& mount : MemberList(*container.json, "volumeMounts")) {
    if (IsAddedVolume(MemberText(mount, "name"))) return true;
  }
  return false;
}

absl::Status CheckTarget(const PodView& pod, const ContainerView& debugger) {
  const std::string target = MemberText(*debugger.json, "targetContainerName");
  if (IsAddedContainer(target)) {
    return Refuse("the container would share the agent's processes", debugger.Path(), "target another container");
  }
  const ContainerView* const targeted = pod.Find(target);
  if (targeted == nullptr || !HasCredentials(*targeted) || AllowsDebugging(pod, target)) return absl::OkStatus();
  return Refuse(
      absl::StrCat("the container would share the processes of \"", target, "\", and with them its credentials"),
      debugger.Path(),
      absl::StrCat("leave the target out, or create the pod with the annotation ", kAllowDebugAnnotation, ": \"",
                   target, "=true\""));
}

bool UsesAddedOr(const std::set<std::string>& volumes, const Json& use) {
  const std::string volume = MemberText(use, "name");
  return IsAddedVolume(volume) || volumes.count(volume) != 0;
}

// The first annotation of Keyferry's that is not the same in both; "" if there is none.
std::string ChangedAnnotation(const PodView& before, const PodView& after) {
  const std::map<std::string, std::string> old = OwnAnnotations(before), now = OwnAnnotations(after);
  for (const auto& [name, value] : old) {
    const auto found = now.find(name);
    if (found == now.end() || found->second != value) return name;
  }
  for (const auto& [name, value] : now) {
    if (old.count(name) == 0) return name;
  }
  return "";
}

bool HasAgent(const PodView& pod) { return pod.Find(kAgentContainer) != nullptr; }

// Whether every container with credentials may be debugged, and there is one.
bool AllowsDebuggingOfAll(const PodView& pod) {
  bool any = false;
  for (const ContainerView& container : pod.containers()) {
    if (IsAddedContainer(container.name) || !HasCredentials(container)) continue;
    if (!AllowsDebugging(pod, container.name)) return false;
    any = true;
  }
  return any;
}

absl::Status CheckWaysToNode(const PodView& pod, const ContainerView& debugger, std::vector<std::string>* warnings) {
  const std::vector<std::string> ways = WaysToNode(debugger);
  if (ways.empty() || !HasAgent(pod)) return absl::OkStatus();
  if (!AllowsDebuggingOfAll(pod)) {
    return Refuse(absl::StrCat("the container ", ways.front(), ", whatever it targets"), debugger.Path(),
                  absl::StrCat("debug without it (kubectl debug --profile=baseline), or create the pod with the "
                               "annotation ",
                               kAllowDebugAnnotation, ": \"true\""));
  }
  for (const std::string& way : ways) warnings->push_back(absl::StrCat("keyferry: ", debugger.Path(), " ", way));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<std::string>> CheckDebugging(const PodView& pod, const PodView& body) {
  std::vector<std::string> warnings;
  const absl::StatusOr<bool> labelled = WantsInjection(pod);
  if (labelled.ok() && !*labelled && !HasAgent(pod)) return warnings;
  const std::set<std::string> of_agent = VolumesOfAgent(pod);
  const std::set<std::string> sources = SourcesOf(pod, of_agent);
  for (const ContainerView& container : body.containers()) {
    if (container.kind != ContainerKind::kEphemeral) continue;
    KEYFERRY_RETURN_IF_REFUSED(CheckTarget(pod, container));
    KEYFERRY_RETURN_IF_REFUSED(CheckWaysToNode(pod, container, &warnings));
    for (const auto& [list, todo] :
         {std::pair("volumeMounts", "remove the mount"), std::pair("volumeDevices", "remove the device")}) {
      for (const Json& use : MemberList(*container.json, list)) {
        if (!UsesAddedOr(of_agent, use)) continue;
        return Refuse("the container mounts what is the agent's or another container's", container.Path(), todo);
      }
    }
    KEYFERRY_RETURN_IF_REFUSED(CheckNoVariableFrom(sources, container));
  }
  return warnings;
}

absl::Status CheckUpdate(const PodView& before, const PodView& after) {
  if (!HasAgent(before)) return absl::OkStatus();
  if (LabelOf(before) == "true" && LabelOf(after) != "true") {
    return Refuse("the pod has the agent and would lose its label", absl::StrCat("label ", kInjectLabel),
                  "keep it \"true\"; delete the pod instead");
  }
  if (const std::string changed = ChangedAnnotation(before, after); !changed.empty()) {
    return Refuse("the pod has the agent, and the annotation would be another", absl::StrCat("annotation ", changed),
                  "leave it; create the pod anew for another");
  }
  for (const char* const name : {kInstallContainer, kAgentContainer}) {
    const ContainerView* const old = before.Find(name);
    if (old == nullptr) continue;
    const ContainerView* const now = after.Find(name);
    if (now != nullptr && MemberText(*now->json, "image") == MemberText(*old->json, "image")) continue;
    return Refuse("the container was added and would run another image", old->Path(),
                  "leave its image; create the pod anew for another");
  }
  return absl::OkStatus();
}

}  // namespace keyferry::injector::webhook
