#include "injector/webhook/rewrite/agent_interface.h"

#include "absl/strings/str_cat.h"

namespace keyferry::injector::webhook {
namespace {

constexpr char kInjectorInImage[] = "/usr/local/bin/keyferry-injector";
constexpr char kLaunchInImage[] = "/usr/local/bin/keyferry-launch";
constexpr char kSocketName[] = "agent.sock";

}  // namespace

std::string AgentSocketDirectory(const std::string& container) {
  return absl::StrCat("/run/keyferry/sockets/", container);
}

std::vector<std::string> AgentCommand(const AgentCall& call) {
  std::vector<std::string> command = {kInjectorInImage, "agent", "--control-dir", kControlDirectory};
  for (const AgentContainer& container : call.containers) {
    std::string description = absl::StrCat("name=", container.name, ",directory=", AgentSocketDirectory(container.name),
                                           ",mcp-server=", container.mcp_server);
    if (!container.team.empty()) absl::StrAppend(&description, ",team=", container.team);
    if (!container.session.empty()) {
      absl::StrAppend(&description, ",session-file=", kSessionDirectory, "/", container.session);
    }
    if (container.allow_partial) absl::StrAppend(&description, ",allow-partial=true");
    if (container.uid.has_value()) absl::StrAppend(&description, ",uid=", *container.uid);
    command.insert(command.end(), {"--container", description});
  }
  command.insert(command.end(), {"--max-stale", call.max_stale});
  return command;
}

std::vector<std::string> AgentLiveCommand() {
  return {kInjectorInImage, "agent", "--check-live", "--control-dir", kControlDirectory};
}

std::vector<std::string> InstallCommand() { return {kLaunchInImage, "--copy-to", kLaunchDirectory}; }

std::vector<std::pair<std::string, std::string>> AgentVariables(const AgentServer& server) {
  std::vector<std::pair<std::string, std::string>> variables = {{"KEYFERRY_ADDRESS", server.address}};
  if (!server.org.empty()) variables.emplace_back("KEYFERRY_ORG", server.org);
  variables.emplace_back("KEYFERRY_TOKEN_FILE", absl::StrCat(kIdentityDirectory, "/", kTokenFile));
  if (server.has_ca) variables.emplace_back("KEYFERRY_CA_FILE", absl::StrCat(kIdentityDirectory, "/", kCaFile));
  return variables;
}

std::vector<std::string> LaunchPrefix(const LaunchCall& call) {
  std::vector<std::string> prefix = {kLaunchPath, "--socket", absl::StrCat(kSocketDirectory, "/", kSocketName)};
  if (!call.supervise) {
    prefix.push_back("--exec");
    if (call.transient) prefix.push_back("--transient");
  } else {
    const std::pair<const char*, const std::string&> options[] = {
        {"--on-rotate=", call.on_rotate},
        {"--rotation=", call.rotation},
        {"--drain-timeout=", call.drain_timeout},
        {"--initialize-timeout=", call.initialize_timeout},
        {"--stop-timeout=", call.stop_timeout},
        {"--debounce=", call.debounce},
        {"--splay=", call.splay},
    };
    for (const auto& [option, value] : options) {
      if (!value.empty()) prefix.push_back(absl::StrCat(option, value));
    }
    if (!call.redact) prefix.push_back("--no-redact");
  }
  if (call.clean_env) prefix.push_back("--clean-env");
  for (const std::string& name : call.unset) prefix.push_back(absl::StrCat("--unset=", name));
  prefix.push_back("--");
  return prefix;
}

std::vector<std::string> ProbePrefix(const LaunchCall& call) {
  LaunchCall probe = call;
  probe.supervise = false;
  probe.transient = true;
  return LaunchPrefix(probe);
}

}  // namespace keyferry::injector::webhook
