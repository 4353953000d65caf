#include "injector/webhook/rewrite/session_checks.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "injector/webhook/rewrite/added_names.h"
#include "injector/webhook/rewrite/refusal.h"

namespace keyferry::injector::webhook {
namespace {

constexpr char kAnnotation[] = "annotation keyferry.dev/session";

std::string SecretSource(const std::string& name) { return absl::StrCat("Secret ", name); }

void AddSources(const Json& volume, std::set<std::string>* sources) {
  if (const Json* const secret = Member(volume, "secret")) {
    sources->insert(SecretSource(MemberText(*secret, "secretName")));
  }
  if (const Json* const claim = Member(volume, "persistentVolumeClaim")) {
    sources->insert(absl::StrCat("PersistentVolumeClaim ", MemberText(*claim, "claimName")));
  }
  const Json* const projected = Member(volume, "projected");
  if (projected == nullptr) return;
  for (const Json& source : MemberList(*projected, "sources")) {
    const Json* const secret = Member(source, "secret");
    if (secret != nullptr) sources->insert(SecretSource(MemberText(*secret, "name")));
  }
}

absl::Status CheckNotUsed(const ContainerView& container, const std::string& volume) {
  for (const auto& [list, what] : {std::pair("volumeMounts", "mount"), std::pair("volumeDevices", "device")}) {
    for (const Json& use : MemberList(*container.json, list)) {
      if (MemberText(use, "name") != volume) continue;
      return Refuse(absl::StrCat("the container mounts the volume of the session, \"", volume, "\""), container.Path(),
                    absl::StrCat("remove the ", what, ": only the agent is to have the session"));
    }
  }
  return absl::OkStatus();
}

// No other volume shows what the session's does.
absl::Status CheckOtherVolumes(const PodView& pod, const std::string& volume, const std::set<std::string>& sources) {
  for (const Json& other : MemberList(pod.spec(), "volumes")) {
    const std::string name = MemberText(other, "name");
    if (name == volume) continue;
    std::set<std::string> shown;
    AddSources(other, &shown);
    for (const std::string& source : shown) {
      if (sources.count(source) == 0) continue;
      return Refuse(absl::StrCat("the volume shows the session too (", source, ")"),
                    absl::StrCat("spec.volumes[", name, "]"), "remove it: only the agent is to have the session");
    }
  }
  return absl::OkStatus();
}

// "" if there is no such reference.
std::string SecretOf(const Json& object, const char* reference) {
  const Json* const secret = Member(object, reference);
  return secret == nullptr ? "" : SecretSource(MemberText(*secret, "name"));
}

}  // namespace

absl::Status CheckSession(const PodView& pod, const std::string& volume) {
  if (IsAddedVolume(volume)) return Refuse("the volume is one that is added", kAnnotation, "name one of the pod's own");
  const std::vector<Json>& volumes = MemberList(pod.spec(), "volumes");
  if (std::none_of(volumes.begin(), volumes.end(),
                   [&](const Json& one) { return MemberText(one, "name") == volume; })) {
    return Refuse(absl::StrCat("no volume \"", volume, "\""), kAnnotation,
                  "add the volume to the pod, without mounting it");
  }
  const std::set<std::string> sources = SourcesOf(pod, {volume});
  KEYFERRY_RETURN_IF_REFUSED(CheckOtherVolumes(pod, volume, sources));
  for (const ContainerView& container : pod.containers()) {
    if (container.name == kAgentContainer) continue;
    KEYFERRY_RETURN_IF_REFUSED(CheckNotUsed(container, volume));
    KEYFERRY_RETURN_IF_REFUSED(CheckNoVariableFrom(sources, container));
  }
  return absl::OkStatus();
}

std::set<std::string> SourcesOf(const PodView& pod, const std::set<std::string>& volumes) {
  std::set<std::string> sources;
  for (const Json& volume : MemberList(pod.spec(), "volumes")) {
    if (volumes.count(MemberText(volume, "name")) != 0) AddSources(volume, &sources);
  }
  return sources;
}

absl::Status CheckNoVariableFrom(const std::set<std::string>& sources, const ContainerView& container) {
  const auto refuse = [&](const std::string& source) {
    return Refuse(absl::StrCat("a variable of the container is from the session's ", source), container.Path(),
                  "remove it: only the agent is to have the session");
  };
  for (const Json& variable : MemberList(*container.json, "env")) {
    const Json* const from = Member(variable, "valueFrom");
    const std::string source = from == nullptr ? "" : SecretOf(*from, "secretKeyRef");
    if (sources.count(source) != 0) return refuse(source);
  }
  for (const Json& all : MemberList(*container.json, "envFrom")) {
    const std::string source = SecretOf(all, "secretRef");
    if (sources.count(source) != 0) return refuse(source);
  }
  return absl::OkStatus();
}

}  // namespace keyferry::injector::webhook
