#ifndef KEYFERRY_INJECTOR_WEBHOOK_REWRITE_POD_VIEW_H_
#define KEYFERRY_INJECTOR_WEBHOOK_REWRITE_POD_VIEW_H_

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "injector/webhook/rewrite/bounded_json.h"

namespace keyferry::injector::webhook {

// The member of an object, or null if there is none or `object` is no object. A JSON null counts as none, as Kubernetes
// takes it.
const Json* Member(const Json& object, absl::string_view name);
// The text of a member, "" if it has none.
std::string MemberText(const Json& object, absl::string_view name);
// Whether a member is `true`.
bool MemberIsTrue(const Json& object, absl::string_view name);
// The elements of a list; none if there is no such member.
const std::vector<Json>& MemberList(const Json& object, absl::string_view name);
// A list of texts; nullopt if there is no such member, or an element is no text.
std::optional<std::vector<std::string>> MemberTexts(const Json& object, absl::string_view name);

enum class ContainerKind { kInit, kRegular, kEphemeral };

struct ContainerView {
  ContainerKind kind = ContainerKind::kRegular;
  size_t index = 0;
  std::string name;
  const Json* json = nullptr;

  // "/spec/containers/0".
  std::string Pointer() const;
  // "spec.containers[NAME]", as messages have it.
  std::string Path() const;
};

// A pod, or the template of one, whose shape is right as far as the rewrite looks at it. Refers to the JSON, which
// outlives it.
class PodView {
 public:
  // A refusal if what should be an object, a list or a text is not.
  static absl::StatusOr<PodView> Read(const Json& pod);

  const Json& metadata() const { return *metadata_; }
  const Json& spec() const { return *spec_; }
  // Init containers first, then regular, then ephemeral ones.
  const std::vector<ContainerView>& containers() const { return containers_; }
  // An init or a regular container; null if there is none of that name.
  const ContainerView* Find(const std::string& name) const;
  // Names of labels or annotations and their values.
  std::vector<std::pair<std::string, std::string>> Labels() const { return Texts("labels"); }
  std::vector<std::pair<std::string, std::string>> Annotations() const { return Texts("annotations"); }

 private:
  absl::Status ReadContainers(absl::string_view list, ContainerKind kind);
  std::vector<std::pair<std::string, std::string>> Texts(absl::string_view map) const;

  const Json* metadata_ = nullptr;
  const Json* spec_ = nullptr;
  std::vector<ContainerView> containers_;
};

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_REWRITE_POD_VIEW_H_
