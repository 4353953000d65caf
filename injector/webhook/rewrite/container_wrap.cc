#include "injector/webhook/rewrite/container_wrap.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "injector/webhook/rewrite/added_names.h"
#include "injector/webhook/rewrite/agent_interface.h"
#include "injector/webhook/rewrite/refusal.h"

namespace keyferry::injector::webhook {
namespace {

// What Kubernetes makes `text` of: in commands and arguments it replaces $(NAME), and each $$, whatever follows, is one
// $.
std::string Literal(const std::string& text) { return absl::StrReplaceAll(text, {{"$", "$$"}}); }

// The command that the container would run, and the arguments that are not among its own.
absl::StatusOr<std::vector<std::string>> CommandOf(const ContainerView& container, const ChosenContainer& chosen,
                                                   const absl::StatusOr<LaunchDefinition>* definition) {
  if (!NeedsDefinition(container)) return *MemberTexts(*container.json, "command");
  if (definition == nullptr) {
    return Refuse("the container has no command, and its image's entrypoint is not known here", container.Path(),
                  "set `command`, or let the webhook ask the server for the MCP server's (--ask-server)");
  }
  if (!definition->ok()) {
    return Refuse(absl::StrCat("the container has no command, and that of MCP server ", chosen.mcp_server,
                               " could not be had (", definition->status().message(), ")"),
                  container.Path(), "set `command`, or mend that");
  }
  const LaunchDefinition& found = **definition;
  if (found.command.empty()) {
    return Refuse(absl::StrCat("the container has no command, and MCP server ", chosen.mcp_server, " defines none"),
                  container.Path(), "set `command`");
  }
  std::vector<std::string> defined = {Literal(found.command)};
  const auto args = MemberTexts(*container.json, "args");
  if (args.has_value() && !args->empty()) return defined;
  for (const std::string& arg : found.args) defined.push_back(Literal(arg));
  return defined;
}

Json Wrapped(std::vector<std::string> prefix, const std::vector<std::string>& command) {
  prefix.insert(prefix.end(), command.begin(), command.end());
  return prefix;
}

// `handler` may have an exec action.
absl::Status WrapHandler(const ContainerView& container, const LaunchCall& launch, const std::string& field,
                         const Json* handler, JsonPatch* patch) {
  const Json* const exec = handler == nullptr ? nullptr : Member(*handler, "exec");
  if (exec == nullptr) return absl::OkStatus();
  const auto command = MemberTexts(*exec, "command");
  if (!command.has_value() || command->empty()) {
    return Refuse("no command to wrap", absl::StrCat(container.Path(), ".", field), "set `exec.command`");
  }
  if (command->front() == kLaunchPath) return absl::OkStatus();
  const std::string path = absl::StrReplaceAll(field, {{".", "/"}});
  patch->Add(absl::StrCat(container.Pointer(), "/", path, "/exec/command"), Wrapped(ProbePrefix(launch), *command));
  return absl::OkStatus();
}

absl::Status WrapHandlers(const ContainerView& container, const LaunchCall& launch, JsonPatch* patch) {
  for (const char* const probe : {"startupProbe", "livenessProbe", "readinessProbe"}) {
    KEYFERRY_RETURN_IF_REFUSED(WrapHandler(container, launch, probe, Member(*container.json, probe), patch));
  }
  const Json* const lifecycle = Member(*container.json, "lifecycle");
  if (lifecycle == nullptr) return absl::OkStatus();
  for (const char* const hook : {"postStart", "preStop"}) {
    KEYFERRY_RETURN_IF_REFUSED(
        WrapHandler(container, launch, absl::StrCat("lifecycle.", hook), Member(*lifecycle, hook), patch));
  }
  return absl::OkStatus();
}

}  // namespace

bool NeedsDefinition(const ContainerView& container) {
  const auto command = MemberTexts(*container.json, "command");
  return !command.has_value() || command->empty();
}

absl::Status WrapContainer(const ContainerView& container, const ChosenContainer& chosen,
                           const absl::StatusOr<LaunchDefinition>* definition, JsonPatch* patch) {
  const absl::StatusOr<std::vector<std::string>> command = CommandOf(container, chosen, definition);
  if (!command.ok()) return command.status();
  patch->Add(container.Pointer() + "/command", Wrapped(LaunchPrefix(chosen.launch), *command));
  if (chosen.wrap_probes) KEYFERRY_RETURN_IF_REFUSED(WrapHandlers(container, chosen.launch, patch));
  const Json* const mounts = Member(*container.json, "volumeMounts");
  const std::string path = container.Pointer() + "/volumeMounts";
  patch->Append(path, mounts, {{"name", kLaunchVolume}, {"mountPath", kLaunchDirectory}, {"readOnly", true}});
  patch->Append(path, mounts,
                {{"name", SocketVolume(chosen.name)}, {"mountPath", kSocketDirectory}, {"readOnly", true}});
  return absl::OkStatus();
}

}  // namespace keyferry::injector::webhook
