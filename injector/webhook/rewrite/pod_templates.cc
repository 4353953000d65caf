#include "injector/webhook/rewrite/pod_templates.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "injector/webhook/rewrite/added_names.h"
#include "injector/webhook/rewrite/annotations.h"
#include "injector/webhook/rewrite/pod_view.h"
#include "injector/webhook/rewrite/refusal.h"

namespace keyferry::injector::webhook {
namespace {

struct Kind {
  const char* name;
  const char* pointer;
};
constexpr Kind kKinds[] = {
    {"Pod", ""},
    {"PodTemplate", "/template"},
    {"Deployment", "/spec/template"},
    {"ReplicaSet", "/spec/template"},
    {"StatefulSet", "/spec/template"},
    {"DaemonSet", "/spec/template"},
    {"ReplicationController", "/spec/template"},
    {"Job", "/spec/template"},
    {"CronJob", "/spec/jobTemplate/spec/template"},
};

// Objects and JSON Pointers to them: the items of a List, or the object itself.
void FindObjects(const Json& object, const std::string& prefix,
                 std::vector<std::pair<std::string, const Json*>>* found) {
  if (MemberText(object, "kind") != "List") {
    found->emplace_back(prefix, &object);
    return;
  }
  const std::vector<Json>& items = MemberList(object, "items");
  for (size_t i = 0; i < items.size(); ++i) FindObjects(items[i], absl::StrCat(prefix, "/items/", i), found);
}

std::vector<std::pair<std::string, const Json*>> Objects(const Json& object) {
  std::vector<std::pair<std::string, const Json*>> found;
  FindObjects(object, "", &found);
  return found;
}

bool IsKnown(absl::string_view kind) {
  return std::any_of(std::begin(kKinds), std::end(kKinds), [&](const Kind& known) { return kind == known.name; });
}

bool HasLabelledTemplate(const Json& object) {
  const Json* found = &object;
  for (const char* const name : {"spec", "template", "metadata", "labels", kInjectLabel}) {
    found = Member(*found, name);
    if (found == nullptr) return false;
  }
  return *found != "false";
}

}  // namespace

std::vector<std::string> PodTemplates(const Json& object) {
  std::vector<std::string> found;
  for (const auto& [prefix, one] : Objects(object)) {
    const std::string kind = MemberText(*one, "kind");
    for (const Kind& known : kKinds) {
      if (kind == known.name && one->contains(Json::json_pointer(known.pointer))) {
        found.push_back(prefix + known.pointer);
      }
    }
  }
  return found;
}

std::vector<std::string> UnknownLabelled(const Json& object) {
  std::vector<std::string> found;
  for (const auto& [prefix, one] : Objects(object)) {
    if (!IsKnown(MemberText(*one, "kind")) && HasLabelledTemplate(*one)) found.push_back(prefix);
  }
  return found;
}

absl::Status CheckClaimTemplates(const Json& object, const std::string& pod_pointer) {
  const Json::json_pointer pod(pod_pointer);
  if (pod.empty()) return absl::OkStatus();
  for (const Json& claim : MemberList(object.at(pod.parent_pointer()), "volumeClaimTemplates")) {
    const Json* const metadata = Member(claim, "metadata");
    const std::string name = metadata == nullptr ? "" : MemberText(*metadata, "name");
    if (!IsAddedVolume(name)) continue;
    return Refuse("the claim template has the name of a volume that is added",
                  absl::StrCat("spec.volumeClaimTemplates[", name, "]"), "rename it");
  }
  return absl::OkStatus();
}

}  // namespace keyferry::injector::webhook
