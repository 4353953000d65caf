#include "injector/webhook/rewrite/pod_rewrite.h"

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
  for (const ChosenContainer& chosen : wishes->containers) {
    KEYFERRY_RETURN_IF_REFUSED(WrapContainer(*view->Find(chosen.name), chosen, definitions, &patch));
  }
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
