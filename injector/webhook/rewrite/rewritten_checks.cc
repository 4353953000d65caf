#include "injector/webhook/rewrite/rewritten_checks.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "injector/webhook/rewrite/added_container_check.h"
#include "injector/webhook/rewrite/added_names.h"
#include "injector/webhook/rewrite/additions.h"
#include "injector/webhook/rewrite/agent_interface.h"
#include "injector/webhook/rewrite/incomplete.h"
#include "injector/webhook/rewrite/refusal.h"

namespace keyferry::injector::webhook {
namespace {

const ChosenContainer* FindChosen(const PodWishes& wishes, const std::string& container) {
  const auto found = std::find_if(wishes.containers.begin(), wishes.containers.end(),
                                  [&](const ChosenContainer& chosen) { return chosen.name == container; });
  return found == wishes.containers.end() ? nullptr : &*found;
}

bool IsWrapped(const ContainerView& container) {
  const auto command = MemberTexts(*container.json, "command");
  return command.has_value() && !command->empty() && command->front() == kLaunchPath;
}

// Each volume that was added is mounted by those that it is for.
absl::Status CheckOwnMounts(const ContainerView& container, const ChosenContainer* chosen) {
  std::set<std::string> writable, read_only;
  for (const Json& mount : MemberList(*container.json, "volumeMounts")) {
    const std::string volume = MemberText(mount, "name");
    if (IsAddedVolume(volume)) (MemberIsTrue(mount, "readOnly") ? read_only : writable).insert(volume);
  }
  std::set<std::string> expected;
  if (chosen != nullptr) expected = {kLaunchVolume, SocketVolume(chosen->name)};
  if (!writable.empty()) return Incomplete("the container writes to what is not its own", container.Path());
  if (read_only != expected) return Incomplete("the container does not mount what is its own alone", container.Path());
  return absl::OkStatus();
}

// A volume of the expected name is of the expected kind, and of no other besides: the kinds are members of a volume.
absl::Status CheckVolume(const PodView& pod, const Json& expected) {
  const std::string name = MemberText(expected, "name");
  const std::string where = absl::StrCat("spec.volumes[", name, "]");
  for (const Json& volume : MemberList(pod.spec(), "volumes")) {
    if (MemberText(volume, "name") != name) continue;
    for (const auto& member : volume.items()) {
      if (member.value().is_null() || expected.contains(member.key())) continue;
      return Incomplete("a volume is of another kind", where);
    }
    for (const auto& member : expected.items()) {
      if (Member(volume, member.key()) == nullptr) return Incomplete("a volume is of another kind", where);
    }
    return absl::OkStatus();
  }
  return Incomplete("a volume is missing", where);
}

}  // namespace

absl::Status CheckRewritten(const PodView& pod, const PodWishes& wishes, const RewriteConfig& config) {
  for (const Json& expected : AddedContainers(pod, wishes, config)) {
    const std::string name = MemberText(expected, "name");
    const ContainerView* const added = pod.Find(name);
    if (added == nullptr || added->kind != ContainerKind::kInit) {
      return Incomplete("it is not among the init containers", name);
    }
    KEYFERRY_RETURN_IF_REFUSED(CheckAddedContainer(*added, expected, config));
  }
  for (const ContainerView& container : pod.containers()) {
    if (IsAddedContainer(container.name)) continue;
    const ChosenContainer* const chosen =
        container.kind == ContainerKind::kEphemeral ? nullptr : FindChosen(wishes, container.name);
    KEYFERRY_RETURN_IF_REFUSED(CheckOwnMounts(container, chosen));
    if (chosen != nullptr && !IsWrapped(container)) {
      return Incomplete("the command is not wrapped", container.Path());
    }
  }
  for (const Json& expected : AddedVolumes(wishes, config)) {
    KEYFERRY_RETURN_IF_REFUSED(CheckVolume(pod, expected));
  }
  return absl::OkStatus();
}

}  // namespace keyferry::injector::webhook
