#include "injector/webhook/rewrite/added_container_check.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "injector/webhook/rewrite/added_names.h"
#include "injector/webhook/rewrite/agent_interface.h"
#include "injector/webhook/rewrite/incomplete.h"
#include "injector/webhook/rewrite/paths.h"
#include "injector/webhook/rewrite/refusal.h"

namespace keyferry::injector::webhook {
namespace {

// Where the program and its libraries are, and what was added: nothing else may be mounted there.
constexpr const char* kOwnDirectories[] = {"/bin",
                                           "/sbin",
                                           "/usr",
                                           "/lib",
                                           "/lib64",
                                           "/proc",
                                           "/run/keyferry",
                                           "/var/run/keyferry",
                                           "/keyferry",
                                           "/etc/ld.so.preload",
                                           "/etc/ld.so.cache"};

// Objects may have more than is expected, as Kubernetes fills in defaults; all else is equal.
bool Contains(const Json& actual, const Json& expected) {
  if (!expected.is_object()) return actual == expected;
  for (const auto& member : expected.items()) {
    const Json* const found = Member(actual, member.key());
    if (found == nullptr || !Contains(*found, member.value())) return false;
  }
  return true;
}

// A container's user may have been set by the cluster since; who may ask the agent is decided by the mount of its
// socket, and only narrowed by the user.
std::vector<std::string> WithoutUids(std::vector<std::string> command) {
  for (std::string& word : command) {
    if (absl::StartsWith(word, "name=")) word = word.substr(0, word.find(",uid="));
  }
  return command;
}

absl::Status CheckProgram(const ContainerView& container, const Json& expected, const RewriteConfig& config) {
  const std::string image = MemberText(*container.json, "image");
  if (image != MemberText(expected, "image") && !IsAllowedImage(config, image)) {
    return Incomplete("its image is another (allowedImages)", container.Path());
  }
  const auto command = MemberTexts(*container.json, "command");
  if (!command.has_value() || WithoutUids(*command) != WithoutUids(*MemberTexts(expected, "command")) ||
      !MemberTexts(*container.json, "args").value_or(std::vector<std::string>()).empty()) {
    return Incomplete("its command is another", container.Path());
  }
  if (MemberText(*container.json, "restartPolicy") != MemberText(expected, "restartPolicy")) {
    return Incomplete("it is restarted at other times", container.Path());
  }
  for (const char* const name : {"startupProbe", "livenessProbe", "readinessProbe"}) {
    const Json* const probe = Member(*container.json, name);
    const Json* const exec = probe == nullptr ? nullptr : Member(*probe, "exec");
    if (exec == nullptr || MemberTexts(*exec, "command") == AgentLiveCommand()) continue;
    return Incomplete("a probe of it runs another command", container.Path());
  }
  return absl::OkStatus();
}

absl::Status CheckRights(const ContainerView& container) {
  for (const char* const name : {"lifecycle", "envFrom", "volumeDevices"}) {
    const Json* const member = Member(*container.json, name);
    if (member != nullptr && !member->empty()) return Incomplete(absl::StrCat("it has ", name), container.Path());
  }
  const Json* const context = Member(*container.json, "securityContext");
  if (context == nullptr) return absl::OkStatus();
  const Json* const capabilities = Member(*context, "capabilities");
  if (MemberIsTrue(*context, "privileged") || MemberIsTrue(*context, "allowPrivilegeEscalation") ||
      (capabilities != nullptr && !MemberList(*capabilities, "add").empty())) {
    return Incomplete("it has privileges", container.Path());
  }
  return absl::OkStatus();
}

// Of variables that others add, none may be the agent's or the dynamic linker's.
absl::Status CheckEnvironment(const ContainerView& container, const Json& expected) {
  const std::vector<Json>& wanted = MemberList(expected, "env");
  const std::vector<Json>& actual = MemberList(*container.json, "env");
  for (const Json& variable : wanted) {
    if (std::any_of(actual.begin(), actual.end(), [&](const Json& one) { return Contains(one, variable); })) continue;
    return Incomplete(absl::StrCat("its variable ", MemberText(variable, "name"), " is another"), container.Path());
  }
  for (const Json& variable : actual) {
    if (std::any_of(wanted.begin(), wanted.end(), [&](const Json& one) { return Contains(variable, one); })) continue;
    const std::string name = MemberText(variable, "name");
    const bool taken =
        std::any_of(wanted.begin(), wanted.end(), [&](const Json& one) { return MemberText(one, "name") == name; });
    if (taken || absl::StartsWith(name, "KEYFERRY_") || absl::StartsWith(name, "LD_") || name == "GLIBC_TUNABLES") {
      return Incomplete(absl::StrCat("it has the variable ", name), container.Path());
    }
  }
  return absl::OkStatus();
}

bool MountsAPart(const Json& mount) {
  return !MemberText(mount, "subPath").empty() || !MemberText(mount, "subPathExpr").empty();
}

absl::Status CheckMounts(const ContainerView& container, const Json& expected) {
  const std::vector<Json>& wanted = MemberList(expected, "volumeMounts");
  const std::vector<Json>& actual = MemberList(*container.json, "volumeMounts");
  for (const Json& mount : wanted) {
    const bool there = std::any_of(actual.begin(), actual.end(),
                                   [&](const Json& one) { return Contains(one, mount) && !MountsAPart(one); });
    if (!there) {
      return Incomplete(absl::StrCat("it does not mount ", MemberText(mount, "name"), " as it should"),
                        container.Path());
    }
  }
  for (const Json& mount : actual) {
    if (std::any_of(wanted.begin(), wanted.end(), [&](const Json& one) { return Contains(mount, one); })) continue;
    const std::string path = MemberText(mount, "mountPath");
    const bool own = std::any_of(std::begin(kOwnDirectories), std::end(kOwnDirectories),
                                 [&](const char* directory) { return PathsOverlap(path, directory); });
    if (own || IsAddedVolume(MemberText(mount, "name"))) {
      return Incomplete(absl::StrCat("it mounts ", MemberText(mount, "name"), " at ", path), container.Path());
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckAddedContainer(const ContainerView& container, const Json& expected, const RewriteConfig& config) {
  KEYFERRY_RETURN_IF_REFUSED(CheckProgram(container, expected, config));
  KEYFERRY_RETURN_IF_REFUSED(CheckRights(container));
  KEYFERRY_RETURN_IF_REFUSED(CheckEnvironment(container, expected));
  return CheckMounts(container, expected);
}

}  // namespace keyferry::injector::webhook
