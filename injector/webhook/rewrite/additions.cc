#include "injector/webhook/rewrite/additions.h"

#include <algorithm>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "injector/webhook/rewrite/added_names.h"
#include "injector/webhook/rewrite/agent_interface.h"

namespace keyferry::injector::webhook {
namespace {

// Files of the identity belong to root or to the pod's fsGroup; the agent takes no token that others can read, and is
// in group 0 so that it can.
constexpr int kReadableByGroup = 0440;
constexpr int kAgentGroup = 0;

Json SecurityContext(const RewriteConfig& config) {
  Json context = {{"allowPrivilegeEscalation", false},
                  {"capabilities", {{"drop", {"ALL"}}}},
                  {"privileged", false},
                  {"readOnlyRootFilesystem", true},
                  {"runAsNonRoot", true},
                  {"seccompProfile", {{"type", "RuntimeDefault"}}}};
  if (config.uid.has_value()) {
    context["runAsUser"] = *config.uid;
    context["runAsGroup"] = kAgentGroup;
  }
  return context;
}

// Whether each container has limits for processors and memory, and requests nothing else: the quality of service class
// "Guaranteed", which a pod loses by one container that has not.
bool IsGuaranteed(const PodView& pod) {
  for (const ContainerView& container : pod.containers()) {
    if (container.kind == ContainerKind::kEphemeral) continue;
    const Json* const resources = Member(*container.json, "resources");
    const Json* const limits = resources == nullptr ? nullptr : Member(*resources, "limits");
    if (limits == nullptr) return false;
    const Json* const requests = Member(*resources, "requests");
    for (const char* const kind : {"cpu", "memory"}) {
      const Json* const limit = Member(*limits, kind);
      const Json* const request = requests == nullptr ? nullptr : Member(*requests, kind);
      if (limit == nullptr || (request != nullptr && *request != *limit)) return false;
    }
  }
  return true;
}

void SetUnlessEmpty(Json& object, const char* name, const std::string& value) {
  if (!value.empty()) object[name] = value;
}

Json Resources(const AddedResources& resources, bool guaranteed) {
  Json limits = Json::object();
  SetUnlessEmpty(limits, "cpu", resources.cpu_limit);
  SetUnlessEmpty(limits, "memory", resources.memory_limit);
  if (guaranteed) return {{"limits", limits}, {"requests", limits}};
  Json requests = Json::object();
  SetUnlessEmpty(requests, "cpu", resources.cpu_request);
  SetUnlessEmpty(requests, "memory", resources.memory_request);
  return {{"limits", limits}, {"requests", requests}};
}

Json Mount(const std::string& volume, const std::string& path, bool read_only) {
  Json mount = {{"name", volume}, {"mountPath", path}};
  if (read_only) mount["readOnly"] = true;
  return mount;
}

Json BaseContainer(const char* name, const std::vector<std::string>& command, const PodWishes& wishes,
                   const RewriteConfig& config, bool guaranteed) {
  Json container = {{"name", name},
                    {"image", wishes.image},
                    {"command", command},
                    {"resources", Resources(wishes.resources, guaranteed)},
                    {"securityContext", SecurityContext(config)}};
  SetUnlessEmpty(container, "imagePullPolicy", config.image_pull_policy);
  return container;
}

// Of the process, if the pod says it.
std::optional<int64_t> UidOf(const PodView& pod, const ChosenContainer& chosen) {
  if (chosen.uid.has_value()) return chosen.uid;
  const ContainerView* const container = pod.Find(chosen.name);
  for (const Json* const of : {container == nullptr ? &pod.spec() : container->json, &pod.spec()}) {
    const Json* const context = Member(*of, "securityContext");
    const Json* const uid = context == nullptr ? nullptr : Member(*context, "runAsUser");
    if (uid != nullptr && uid->is_number_unsigned()) return uid->get<int64_t>();
  }
  return std::nullopt;
}

AgentCall CallOfAgent(const PodView& pod, const PodWishes& wishes) {
  AgentCall call;
  call.max_stale = wishes.max_stale;
  for (const ChosenContainer& chosen : wishes.containers) {
    AgentContainer container;
    container.name = chosen.name;
    container.mcp_server = chosen.mcp_server;
    container.team = chosen.team;
    if (!chosen.session_volume.empty()) {
      container.session = absl::StrCat(chosen.session_volume, "/", chosen.session_file);
    }
    container.allow_partial = chosen.allow_partial;
    container.uid = UidOf(pod, chosen);
    call.containers.push_back(std::move(container));
  }
  return call;
}

Json AgentEnvironment(const RewriteConfig& config) {
  AgentServer server;
  server.address = config.address;
  server.org = config.org;
  server.has_ca = !config.ca_config_map.empty();
  Json environment = Json::array();
  for (const auto& [name, value] : AgentVariables(server)) environment.push_back({{"name", name}, {"value", value}});
  for (const auto& [name, field] : {std::pair("POD_NAMESPACE", "metadata.namespace"), {"POD_NAME", "metadata.name"}}) {
    environment.push_back({{"name", name}, {"valueFrom", {{"fieldRef", {{"fieldPath", field}}}}}});
  }
  return environment;
}

Json AgentMounts(const PodWishes& wishes) {
  Json mounts = {Mount(kIdentityVolume, kIdentityDirectory, /*read_only=*/true),
                 Mount(kControlVolume, kControlDirectory, /*read_only=*/false)};
  std::set<std::string> sessions;
  for (const ChosenContainer& chosen : wishes.containers) {
    mounts.push_back(Mount(SocketVolume(chosen.name), AgentSocketDirectory(chosen.name), /*read_only=*/false));
    const std::string& session = chosen.session_volume;
    if (session.empty() || !sessions.insert(session).second) continue;
    mounts.push_back(Mount(session, absl::StrCat(kSessionDirectory, "/", session), /*read_only=*/true));
  }
  return mounts;
}

Json MemoryVolume(const std::string& name, const char* limit) {
  return {{"name", name}, {"emptyDir", {{"medium", "Memory"}, {"sizeLimit", limit}}}};
}

}  // namespace

std::vector<Json> AddedContainers(const PodView& pod, const PodWishes& wishes, const RewriteConfig& config) {
  const bool guaranteed = IsGuaranteed(pod);
  Json install = BaseContainer(kInstallContainer, InstallCommand(), wishes, config, guaranteed);
  install["volumeMounts"] = Json::array({Mount(kLaunchVolume, kLaunchDirectory, /*read_only=*/false)});

  Json agent = BaseContainer(kAgentContainer, AgentCommand(CallOfAgent(pod, wishes)), wishes, config, guaranteed);
  agent["restartPolicy"] = "Always";
  agent["env"] = AgentEnvironment(config);
  agent["volumeMounts"] = AgentMounts(wishes);
  const Json live = {{"command", AgentLiveCommand()}};
  // The containers after it start once its sockets are there. Whether the server can be reached is for the launchers to
  // say, and no reason to take a pod that runs out of service.
  agent["startupProbe"] = {{"exec", live}, {"periodSeconds", 1}, {"timeoutSeconds", 5}, {"failureThreshold", 60}};
  agent["livenessProbe"] = {{"exec", live}, {"periodSeconds", 30}, {"timeoutSeconds", 5}, {"failureThreshold", 3}};
  return {std::move(install), std::move(agent)};
}

std::vector<Json> AddedVolumes(const PodWishes& wishes, const RewriteConfig& config) {
  Json sources = Json::array();
  sources.push_back(
      {{"serviceAccountToken",
        {{"audience", config.audience}, {"expirationSeconds", config.token_seconds}, {"path", kTokenFile}}}});
  if (!config.ca_config_map.empty()) {
    sources.push_back(
        {{"configMap",
          {{"name", config.ca_config_map}, {"items", Json::array({{{"key", config.ca_key}, {"path", kCaFile}}})}}}});
  }
  std::vector<Json> volumes = {
      MemoryVolume(kLaunchVolume, "8Mi"),
      {{"name", kIdentityVolume}, {"projected", {{"defaultMode", kReadableByGroup}, {"sources", sources}}}},
      MemoryVolume(kControlVolume, "1Mi"),
  };
  for (const ChosenContainer& chosen : wishes.containers) {
    volumes.push_back(MemoryVolume(SocketVolume(chosen.name), "1Mi"));
  }
  return volumes;
}

}  // namespace keyferry::injector::webhook
