#include "injector/webhook/rewrite/pod_templates.h"

#include "absl/strings/str_cat.h"
#include "injector/webhook/rewrite/pod_view.h"

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

void Find(const Json& object, const std::string& prefix, std::vector<std::string>* found) {
  const std::string kind = MemberText(object, "kind");
  if (kind == "List") {
    const std::vector<Json>& items = MemberList(object, "items");
    for (size_t i = 0; i < items.size(); ++i) Find(items[i], absl::StrCat(prefix, "/items/", i), found);
    return;
  }
  for (const Kind& known : kKinds) {
    if (kind == known.name && object.contains(Json::json_pointer(known.pointer))) {
      found->push_back(prefix + known.pointer);
    }
  }
}

}  // namespace

std::vector<std::string> PodTemplates(const Json& object) {
  std::vector<std::string> found;
  Find(object, "", &found);
  return found;
}

}  // namespace keyferry::injector::webhook
