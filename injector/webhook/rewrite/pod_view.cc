#include "injector/webhook/rewrite/pod_view.h"

#include <initializer_list>

#include "absl/strings/str_cat.h"
#include "injector/webhook/rewrite/refusal.h"

namespace keyferry::injector::webhook {
namespace {

const Json& Nothing() {
  static const auto* const kNothing = new Json(Json::object());
  return *kNothing;
}

constexpr absl::string_view ListName(ContainerKind kind) {
  switch (kind) {
    case ContainerKind::kInit:
      return "initContainers";
    case ContainerKind::kRegular:
      return "containers";
    case ContainerKind::kEphemeral:
      return "ephemeralContainers";
  }
  return "";
}

absl::Status WrongShape(absl::string_view where, absl::string_view what) {
  return Refuse(absl::StrCat("not ", what), where, "correct the manifest");
}

// Whether a member is absent, or of that kind.
absl::Status CheckKind(const Json& object, absl::string_view name, Json::value_t kind, absl::string_view path) {
  const Json* const member = Member(object, name);
  if (member == nullptr || member->type() == kind) return absl::OkStatus();
  const absl::string_view what = kind == Json::value_t::array    ? "a list"
                                 : kind == Json::value_t::object ? "an object"
                                                                 : "a text";
  return WrongShape(absl::StrCat(path, ".", name), what);
}

// Elements are objects, with texts where the rewrite looks for one.
absl::Status CheckElements(const Json& object, absl::string_view list, std::initializer_list<const char*> texts,
                           absl::string_view path) {
  KEYFERRY_RETURN_IF_REFUSED(CheckKind(object, list, Json::value_t::array, path));
  const std::vector<Json>& elements = MemberList(object, list);
  for (size_t i = 0; i < elements.size(); ++i) {
    const std::string where = absl::StrCat(path, ".", list, "[", i, "]");
    if (!elements[i].is_object()) return WrongShape(where, "an object");
    for (const char* const text : texts) {
      KEYFERRY_RETURN_IF_REFUSED(CheckKind(elements[i], text, Json::value_t::string, where));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckTexts(const Json& object, absl::string_view list, absl::string_view path) {
  if (Member(object, list) == nullptr || MemberTexts(object, list).has_value()) return absl::OkStatus();
  return WrongShape(absl::StrCat(path, ".", list), "a list of texts");
}

absl::Status CheckContainer(const Json& container, absl::string_view path) {
  for (const char* const object :
       {"securityContext", "resources", "lifecycle", "livenessProbe", "readinessProbe", "startupProbe"}) {
    KEYFERRY_RETURN_IF_REFUSED(CheckKind(container, object, Json::value_t::object, path));
  }
  for (const char* const texts : {"command", "args"}) KEYFERRY_RETURN_IF_REFUSED(CheckTexts(container, texts, path));
  KEYFERRY_RETURN_IF_REFUSED(CheckElements(container, "volumeMounts", {"name", "mountPath"}, path));
  KEYFERRY_RETURN_IF_REFUSED(CheckElements(container, "volumeDevices", {"name", "devicePath"}, path));
  return CheckElements(container, "env", {"name"}, path);
}

}  // namespace

const Json* Member(const Json& object, absl::string_view name) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(std::string(name));
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::string MemberText(const Json& object, absl::string_view name) {
  const Json* const member = Member(object, name);
  return member != nullptr && member->is_string() ? member->get<std::string>() : "";
}

bool MemberIsTrue(const Json& object, absl::string_view name) {
  const Json* const member = Member(object, name);
  return member != nullptr && member->is_boolean() && member->get<bool>();
}

const std::vector<Json>& MemberList(const Json& object, absl::string_view name) {
  static const auto* const kNone = new std::vector<Json>();
  const Json* const member = Member(object, name);
  return member != nullptr && member->is_array() ? member->get_ref<const Json::array_t&>() : *kNone;
}

std::optional<std::vector<std::string>> MemberTexts(const Json& object, absl::string_view name) {
  const Json* const member = Member(object, name);
  if (member == nullptr || !member->is_array()) return std::nullopt;
  std::vector<std::string> texts;
  for (const Json& element : *member) {
    if (!element.is_string()) return std::nullopt;
    texts.push_back(element.get<std::string>());
  }
  return texts;
}

std::string ContainerView::Pointer() const { return absl::StrCat("/spec/", ListName(kind), "/", index); }

std::string ContainerView::Path() const { return absl::StrCat("spec.", ListName(kind), "[", name, "]"); }

absl::StatusOr<PodView> PodView::Read(const Json& pod) {
  if (!pod.is_object()) return WrongShape("the pod", "an object");
  PodView view;
  for (const char* const part : {"metadata", "spec"}) {
    KEYFERRY_RETURN_IF_REFUSED(CheckKind(pod, part, Json::value_t::object, "pod"));
  }
  view.metadata_ = Member(pod, "metadata") == nullptr ? &Nothing() : Member(pod, "metadata");
  view.spec_ = Member(pod, "spec") == nullptr ? &Nothing() : Member(pod, "spec");
  for (const char* const map : {"labels", "annotations"}) {
    KEYFERRY_RETURN_IF_REFUSED(CheckKind(*view.metadata_, map, Json::value_t::object, "metadata"));
    if (Member(*view.metadata_, map) == nullptr) continue;
    for (const auto& entry : Member(*view.metadata_, map)->items()) {
      if (!entry.value().is_string()) {
        return WrongShape(absl::StrCat("metadata.", map, "[", entry.key(), "]"), "a text; quote it");
      }
    }
  }
  for (const char* const object : {"securityContext", "nodeSelector", "os"}) {
    KEYFERRY_RETURN_IF_REFUSED(CheckKind(*view.spec_, object, Json::value_t::object, "spec"));
  }
  KEYFERRY_RETURN_IF_REFUSED(CheckElements(*view.spec_, "volumes", {"name"}, "spec"));
  KEYFERRY_RETURN_IF_REFUSED(view.ReadContainers("initContainers", ContainerKind::kInit));
  KEYFERRY_RETURN_IF_REFUSED(view.ReadContainers("containers", ContainerKind::kRegular));
  KEYFERRY_RETURN_IF_REFUSED(view.ReadContainers("ephemeralContainers", ContainerKind::kEphemeral));
  return view;
}

absl::Status PodView::ReadContainers(absl::string_view list, ContainerKind kind) {
  KEYFERRY_RETURN_IF_REFUSED(CheckElements(*spec_, list, {"name"}, "spec"));
  const std::vector<Json>& elements = MemberList(*spec_, list);
  for (size_t i = 0; i < elements.size(); ++i) {
    ContainerView container;
    container.kind = kind;
    container.index = i;
    container.name = MemberText(elements[i], "name");
    container.json = &elements[i];
    if (container.name.empty()) return WrongShape(absl::StrCat("spec.", list, "[", i, "].name"), "there");
    KEYFERRY_RETURN_IF_REFUSED(CheckContainer(elements[i], container.Path()));
    containers_.push_back(std::move(container));
  }
  return absl::OkStatus();
}

const ContainerView* PodView::Find(const std::string& name) const {
  for (const ContainerView& container : containers_) {
    if (container.kind != ContainerKind::kEphemeral && container.name == name) return &container;
  }
  return nullptr;
}

std::vector<std::pair<std::string, std::string>> PodView::Texts(absl::string_view map) const {
  std::vector<std::pair<std::string, std::string>> texts;
  const Json* const entries = Member(*metadata_, map);
  if (entries == nullptr) return texts;
  for (const auto& entry : entries->items()) texts.emplace_back(entry.key(), entry.value().get<std::string>());
  return texts;
}

}  // namespace keyferry::injector::webhook
