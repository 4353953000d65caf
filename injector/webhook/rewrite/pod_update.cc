#include "injector/webhook/rewrite/pod_update.h"

#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "injector/webhook/rewrite/added_names.h"
#include "injector/webhook/rewrite/annotations.h"
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

}  // namespace

bool HasAgent(const PodView& pod) { return pod.Find(kAgentContainer) != nullptr; }

absl::Status CheckEphemeralContainers(const PodView& pod) {
  const std::set<std::string> of_agent = VolumesOfAgent(pod);
  const std::set<std::string> sources = SourcesOf(pod, of_agent);
  for (const ContainerView& container : pod.containers()) {
    if (container.kind != ContainerKind::kEphemeral) continue;
    if (IsAddedContainer(MemberText(*container.json, "targetContainerName"))) {
      return Refuse("the container would share the agent's processes", container.Path(), "target another container");
    }
    for (const auto& [list, todo] :
         {std::pair("volumeMounts", "remove the mount"), std::pair("volumeDevices", "remove the device")}) {
      for (const Json& use : MemberList(*container.json, list)) {
        const std::string volume = MemberText(use, "name");
        if (!IsAddedVolume(volume) && of_agent.count(volume) == 0) continue;
        return Refuse("the container mounts what is the agent's or another container's", container.Path(), todo);
      }
    }
    KEYFERRY_RETURN_IF_REFUSED(CheckNoVariableFrom(sources, container));
  }
  return absl::OkStatus();
}

absl::Status CheckUpdate(const PodView& before, const PodView& after) {
  if (!HasAgent(before)) return absl::OkStatus();
  if (LabelOf(before) == "true" && LabelOf(after) != "true") {
    return Refuse("the pod has the agent and would lose its label", absl::StrCat("label ", kInjectLabel),
                  "keep it \"true\"; delete the pod instead");
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
