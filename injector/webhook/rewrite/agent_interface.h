#ifndef KEYFERRY_INJECTOR_WEBHOOK_REWRITE_AGENT_INTERFACE_H_
#define KEYFERRY_INJECTOR_WEBHOOK_REWRITE_AGENT_INTERFACE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace keyferry::injector::webhook {

// All that the rewrite knows of `keyferry-injector agent`, `keyferry-launch` and the image that holds them: paths,
// flags and variables. What they do not take, no other file may write into a pod.

// In a container whose command is wrapped.
inline constexpr char kLaunchDirectory[] = "/keyferry/bin";
inline constexpr char kLaunchPath[] = "/keyferry/bin/keyferry-launch";
inline constexpr char kSocketDirectory[] = "/keyferry/socket";

// In the agent's container.
inline constexpr char kIdentityDirectory[] = "/run/keyferry/identity";
inline constexpr char kControlDirectory[] = "/run/keyferry/control";
inline constexpr char kSessionDirectory[] = "/run/keyferry/session";
inline constexpr char kTokenFile[] = "token";
inline constexpr char kCaFile[] = "ca.pem";

// The directory of a container's socket, in the agent's container.
std::string AgentSocketDirectory(const std::string& container);

inline constexpr size_t kMostAgentContainers = 64;

struct AgentContainer {
  std::string name;
  std::string mcp_server;
  // Id of a team; "" for none.
  std::string team;
  // VOLUME/FILE in kSessionDirectory; "" for none.
  std::string session;
  bool allow_partial = false;
  // The only uid that may ask on its socket; any if it is not known.
  std::optional<int64_t> uid;
};

struct AgentCall {
  std::vector<AgentContainer> containers;
  std::string max_stale;
};

// Commands of containers and probes, without a shell.
std::vector<std::string> AgentCommand(const AgentCall& call);
std::vector<std::string> AgentLiveCommand();
// Puts keyferry-launch into kLaunchDirectory.
std::vector<std::string> InstallCommand();

// Names and values of the agent's environment, none of them secret. Empty ones are left out.
struct AgentServer {
  std::string address;
  std::string org;
  bool has_ca = false;
};
std::vector<std::pair<std::string, std::string>> AgentVariables(const AgentServer& server);

struct LaunchCall {
  // Stays as the command's parent; without, it is replaced by the command.
  bool supervise = true;
  // Without: does not count as what the container runs.
  bool transient = false;
  bool redact = true;
  // "" leaves the launcher's default.
  std::string on_rotate;
  std::string rotation;
  std::string drain_timeout;
  std::string initialize_timeout;
  std::string stop_timeout;
  std::string debounce;
  std::string splay;
  // What the command gets of the container's own environment; without supervision and in probes too.
  bool clean_env = false;
  std::vector<std::string> unset;
};

// What stands before a container's command, up to and with "--".
std::vector<std::string> LaunchPrefix(const LaunchCall& call);
// What stands before the command of a probe or a hook of a container that is launched with `call`.
std::vector<std::string> ProbePrefix(const LaunchCall& call);

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_REWRITE_AGENT_INTERFACE_H_
