#include "injector/webhook/rewrite/pod_rewrite.h"

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "injector/webhook/rewrite/additions.h"
#include "injector/webhook/rewrite/container_wrap.h"
#include "injector/webhook/rewrite/json_patch.h"
#include "injector/webhook/rewrite/pod_checks.h"
#include "injector/webhook/rewrite/refusal.h"
#include "injector/webhook/rewrite/rewritten_checks.h"

namespace keyferry::injector::webhook {
namespace {

// Before the pod's own init containers, so that these can be wrapped too.
void AddContainers(const PodView& pod, std::vector<Json> added, JsonPatch* patch) {
  if (Member(pod.spec(), "initContainers") == nullptr) {
    patch->Add("/spec/initContainers", std::move(added));
    return;
  }
  for (size_t i = 0; i < added.size(); ++i) patch->Add(absl::StrCat("/spec/initContainers/", i), std::move(added[i]));
}

// By the names of the containers that need one; empty if nobody can be asked.
using Definitions = std::map<std::string, absl::StatusOr<LaunchDefinition>>;

Definitions AskFor(const PodView& pod, const std::vector<ChosenContainer>& containers, const DefinitionSource& source) {
  std::vector<std::string> names;
  std::vector<AskedServer> asked;
  for (const ChosenContainer& chosen : containers) {
    if (!NeedsDefinition(*pod.Find(chosen.name))) continue;
    names.push_back(chosen.name);
    asked.push_back({chosen.mcp_server, chosen.team});
  }
  Definitions definitions;
  if (source == nullptr || asked.empty()) return definitions;
  std::vector<absl::StatusOr<LaunchDefinition>> found = source(asked);
  for (size_t i = 0; i < names.size(); ++i) definitions.emplace(names[i], std::move(found[i]));
  return definitions;
}

absl::Status WrapContainers(const PodView& pod, const std::vector<ChosenContainer>& containers,
                            const DefinitionSource& source, JsonPatch* patch) {
  const Definitions definitions = AskFor(pod, containers, source);
  for (const ChosenContainer& chosen : containers) {
    const auto found = definitions.find(chosen.name);
    const absl::StatusOr<LaunchDefinition>* const definition = found == definitions.end() ? nullptr : &found->second;
    KEYFERRY_RETURN_IF_REFUSED(WrapContainer(*pod.Find(chosen.name), chosen, definition, patch));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<PodRewrite> RewritePod(const Json& pod, const RewriteConfig& config,
                                      const DefinitionSource& definitions) {
  const absl::StatusOr<PodView> view = PodView::Read(pod);
  if (!view.ok()) return view.status();
  const absl::StatusOr<bool> wanted = WantsInjection(*view);
  if (!wanted.ok()) return wanted.status();
  PodRewrite rewrite;
  if (!*wanted) return rewrite;
  absl::StatusOr<PodWishes> wishes = ReadAnnotations(*view, config);
  if (!wishes.ok()) return wishes.status();
  KEYFERRY_RETURN_IF_REFUSED(CheckPod(*view, *wishes, config));
  rewrite.warnings = PodWarnings(*view, *wishes);
  rewrite.containers = wishes->containers;
  if (wishes->injected) {
    KEYFERRY_RETURN_IF_REFUSED(CheckRewritten(*view, *wishes, config));
    return rewrite;
  }
  KEYFERRY_RETURN_IF_REFUSED(CheckNoConflict(*view, *wishes));
  JsonPatch patch;
  KEYFERRY_RETURN_IF_REFUSED(WrapContainers(*view, wishes->containers, definitions, &patch));
  // After the containers were changed, whose places in the list move now.
  AddContainers(*view, AddedContainers(*view, *wishes, config), &patch);
  for (Json& volume : AddedVolumes(*wishes, config)) {
    patch.Append("/spec/volumes", Member(view->spec(), "volumes"), std::move(volume));
  }
  // A labelled pod has annotations, or it was refused.
  patch.Add("/metadata/annotations/keyferry.dev~1injected", kInjectedValue);
  rewrite.patch = patch.Take();
  return rewrite;
}

}  // namespace keyferry::injector::webhook
