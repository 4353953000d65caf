// What the shapes of testdata/ do not show: definitions, hostile names, and pods that were rewritten and then changed.
#include "injector/webhook/rewrite/pod_rewrite.h"

#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "injector/webhook/rewrite/added_names.h"

namespace keyferry::injector::webhook {
namespace {

using testing::HasSubstr;

Json Pod() {
  return Json::parse(R"({
    "metadata": {"name": "tool", "labels": {"keyferry.dev/inject": "true"},
                 "annotations": {"keyferry.dev/mcp-server": "server=github,other=jira"}},
    "spec": {"containers": [{"name": "server", "command": ["node"]}, {"name": "other", "command": ["node"]},
                            {"name": "third"}]}})");
}

RewriteConfig Config() {
  RewriteConfig config;
  config.org = "acme";
  return config;
}

Json Rewritten() {
  const Json pod = Pod();
  return pod.patch(RewritePod(pod, Config(), nullptr).value().patch);
}

std::string Refusal(const Json& pod, const DefinitionSource& definitions = nullptr) {
  const absl::StatusOr<PodRewrite> rewrite = RewritePod(pod, Config(), definitions);
  EXPECT_FALSE(rewrite.ok());
  return std::string(rewrite.status().message());
}

DefinitionSource EachIs(const absl::StatusOr<LaunchDefinition>& definition) {
  return [definition](const std::vector<AskedServer>& servers) {
    return std::vector<absl::StatusOr<LaunchDefinition>>(servers.size(), definition);
  };
}

TEST(PodRewriteTest, ARewrittenPodIsDone) {
  const absl::StatusOr<PodRewrite> again = RewritePod(Rewritten(), Config(), nullptr);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(again->patch.empty());
  EXPECT_EQ(again->containers.size(), 2u);
}

// A pod that says that it was rewritten is held to it: each of these would let a container have what is not its own, or
// start without its credentials.
TEST(PodRewriteTest, ARewrittenPodThatWasChangedIsRefused) {
  const struct {
    const char* name;
    std::function<void(Json& spec)> change;
  } kCases[] = {
      {"agent gone", [](Json& spec) { spec["initContainers"].erase(1); }},
      {"launcher not installed", [](Json& spec) { spec["initContainers"].erase(0); }},
      {"agent no sidecar", [](Json& spec) { spec["initContainers"][1].erase("restartPolicy"); }},
      {"agent another program",
       [](Json& spec) {
         spec["initContainers"][1]["command"] = {"sleep", "inf", "x"};
       }},
      {"command not wrapped", [](Json& spec) { spec["containers"][0]["command"] = {"node"}; }},
      {"identity mounted",
       [](Json& spec) {
         spec["containers"][2]["volumeMounts"] = {{{"name", kIdentityVolume}, {"mountPath", "/x"}, {"readOnly", true}}};
       }},
      {"identity mounted by the installer",
       [](Json& spec) {
         spec["initContainers"][0]["volumeMounts"].push_back({{"name", kIdentityVolume}, {"mountPath", "/x"}});
       }},
      {"other's socket mounted",
       [](Json& spec) {
         spec["containers"][0]["volumeMounts"].push_back(
             {{"name", SocketVolume("other")}, {"mountPath", "/x"}, {"readOnly", true}});
       }},
      {"socket writable", [](Json& spec) { spec["containers"][0]["volumeMounts"][1]["readOnly"] = false; }},
      {"launcher writable", [](Json& spec) { spec["containers"][0]["volumeMounts"][0].erase("readOnly"); }},
      {"socket not mounted", [](Json& spec) { spec["containers"][1]["volumeMounts"].erase(1); }},
      {"volume gone", [](Json& spec) { spec["volumes"].erase(0); }},
      {"agent another image", [](Json& spec) { spec["initContainers"][1]["image"] = "evil"; }},
      {"installer another image", [](Json& spec) { spec["initContainers"][0]["image"] = "evil"; }},
      {"installer another program", [](Json& spec) { spec["initContainers"][0]["command"][0] = "/bin/sh"; }},
      {"agent for another MCP server",
       [](Json& spec) { spec["initContainers"][1]["command"][5] = "name=server,mcp-server=jira"; }},
      {"agent with arguments", [](Json& spec) { spec["initContainers"][1]["args"] = {"--control-dir=/x"}; }},
      {"agent with a hook",
       [](Json& spec) { spec["initContainers"][1]["lifecycle"]["postStart"]["exec"]["command"] = {"cat"}; }},
      {"agent with another probe",
       [](Json& spec) { spec["initContainers"][1]["livenessProbe"]["exec"]["command"] = {"cat"}; }},
      {"agent with a probe more",
       [](Json& spec) { spec["initContainers"][1]["readinessProbe"]["exec"]["command"] = {"cat"}; }},
      {"agent with variables of others",
       [](Json& spec) {
         spec["initContainers"][1]["envFrom"] = {{{"secretRef", {{"name", "x"}}}}};
       }},
      {"agent of another server", [](Json& spec) { spec["initContainers"][1]["env"][0]["value"] = "evil:1"; }},
      {"agent's server twice",
       [](Json& spec) {
         spec["initContainers"][1]["env"].push_back({{"name", "KEYFERRY_ADDRESS"}, {"value", "evil:1"}});
       }},
      {"agent's program preloaded",
       [](Json& spec) {
         spec["initContainers"][1]["env"].push_back({{"name", "LD_PRELOAD"}, {"value", "/x"}});
       }},
      {"agent privileged", [](Json& spec) { spec["initContainers"][1]["securityContext"]["privileged"] = true; }},
      {"installer with a capability",
       [](Json& spec) { spec["initContainers"][0]["securityContext"]["capabilities"]["add"] = {"SYS_ADMIN"}; }},
      {"agent's program mounted over",
       [](Json& spec) {
         spec["initContainers"][1]["volumeMounts"].push_back({{"name", "d"}, {"mountPath", "/usr/local//bin"}});
       }},
      {"identity not mounted", [](Json& spec) { spec["initContainers"][1]["volumeMounts"].erase(0); }},
      {"a part of the socket's volume",
       [](Json& spec) { spec["initContainers"][1]["volumeMounts"][2]["subPath"] = "x"; }},
      {"volume on the node",
       [](Json& spec) {
         spec["volumes"][3] = {{"name", "keyferry-socket-server"}, {"hostPath", {{"path", "/x"}}}};
       }},
      {"volume of two kinds", [](Json& spec) { spec["volumes"][0]["hostPath"]["path"] = "/x"; }},
      {"processes shared", [](Json& spec) { spec["shareProcessNamespace"] = true; }},
      {"second token",
       [](Json& spec) {
         spec["volumes"].push_back(
             {{"name", "t"},
              {"projected", {{"sources", {{{"serviceAccountToken", {{"audience", "keyferry"}, {"path", "t"}}}}}}}}});
       }},
  };
  for (const auto& one : kCases) {
    Json pod = Rewritten();
    one.change(pod["spec"]);
    EXPECT_FALSE(RewritePod(pod, Config(), nullptr).ok()) << one.name;
  }
}

TEST(PodRewriteTest, NothingOfTheNodeThatHasTheAgentsIsAVolume) {
  for (const char* const path : {"/", "/proc", "/proc/1/root", "/var/lib/kubelet/pods", "/var/lib", "/var", "/run",
                                 "/var/run/docker.sock", "//run/", "/x/../run", "run", "/var/./run", ""}) {
    for (Json pod : {Pod(), Rewritten()}) {
      pod["spec"]["volumes"].push_back({{"name", "node"}, {"hostPath", {{"path", path}}}});
      EXPECT_THAT(Refusal(pod), HasSubstr("spec.volumes[node]")) << path;
    }
  }
}

TEST(PodRewriteTest, WhatMayReachTheAgentThroughTheNodeIsWarnedOf) {
  Json pod = Pod();
  pod["spec"]["volumes"] = {{{"name", "logs"}, {"hostPath", {{"path", "/var/log"}}}}};
  Json& containers = pod["spec"]["containers"];
  containers[0]["securityContext"]["capabilities"]["add"] = {"NET_ADMIN", "SYS_PTRACE"};
  containers[1]["securityContext"]["capabilities"]["add"] = {"CAP_SYS_ADMIN"};
  containers[2]["securityContext"]["capabilities"]["add"] = {"CHOWN"};
  const absl::StatusOr<PodRewrite> rewrite = RewritePod(pod, Config(), nullptr);
  ASSERT_TRUE(rewrite.ok()) << rewrite.status();
  EXPECT_THAT(rewrite->warnings, testing::ElementsAre(HasSubstr("spec.volumes[logs] is /var/log"),
                                                      HasSubstr("[server] has the capability SYS_PTRACE"),
                                                      HasSubstr("[other] has the capability SYS_ADMIN")));
}

// What Kubernetes fills in and other webhooks add.
TEST(PodRewriteTest, ARewrittenPodMayHaveMore) {
  Json pod = Rewritten();
  Json& agent = pod["spec"]["initContainers"][1];
  agent["env"][3]["valueFrom"]["fieldRef"]["apiVersion"] = "v1";
  agent["env"].push_back({{"name", "HTTP_PROXY"}, {"value", "http://proxy"}});
  agent["volumeMounts"].push_back({{"name", "api"}, {"mountPath", "/var/run/secrets/kubernetes.io/serviceaccount"}});
  agent["livenessProbe"]["successThreshold"] = 1;
  agent["resources"]["limits"]["memory"] = "128Mi";
  agent["lifecycle"] = nullptr;
  pod["spec"]["volumes"][0]["secret"] = nullptr;
  // The agent was written before the cluster chose the user.
  pod["spec"]["containers"][0]["securityContext"]["runAsUser"] = 1000;
  const absl::StatusOr<PodRewrite> again = RewritePod(pod, Config(), nullptr);
  EXPECT_TRUE(again.ok()) << again.status();
}

TEST(PodRewriteTest, OnlyAllowedImagesAreAdded) {
  Json pod = Pod();
  pod["metadata"]["annotations"]["keyferry.dev/image"] = "evil:1";
  EXPECT_THAT(Refusal(pod), HasSubstr("annotation keyferry.dev/image"));
  RewriteConfig config = Config();
  config.allowed_images = {"evil:1"};
  EXPECT_TRUE(RewritePod(pod, config, nullptr).ok());
}

// Kubernetes would refuse the pod, far from whoever wrote the annotation.
TEST(PodRewriteTest, NothingThatIsAddedRequestsMoreThanItsLimit) {
  Json pod = Pod();
  Json& annotations = pod["metadata"]["annotations"];
  annotations["keyferry.dev/memory-request"] = "65Mi";
  annotations["keyferry.dev/memory-limit"] = "64Mi";
  EXPECT_THAT(Refusal(pod),
              HasSubstr("the request 65Mi is above the limit 64Mi: annotation keyferry.dev/memory-request "
                        "and keyferry.dev/memory-limit; lower the request"));
  annotations.erase("keyferry.dev/memory-request");
  // What the pod does not say is the configuration's, and moves.
  RewriteConfig config = Config();
  config.resources.memory_request = config.resources.memory_limit = "128Mi";
  const absl::StatusOr<PodRewrite> rewrite = RewritePod(pod, config, nullptr);
  ASSERT_TRUE(rewrite.ok()) << rewrite.status();
  const Json added = pod.patch(rewrite->patch)["spec"]["initContainers"];
  for (const int container : {0, 1}) {
    EXPECT_EQ(added[container]["resources"]["requests"]["memory"], "64Mi");
    EXPECT_EQ(added[container]["resources"]["limits"]["memory"], "64Mi");
    EXPECT_EQ(added[container]["resources"]["limits"]["cpu"], "200m");
  }
}

TEST(PodRewriteTest, OfflineAContainerWithoutACommandIsRefused) {
  Json pod = Pod();
  pod["spec"]["containers"][0].erase("command");
  EXPECT_THAT(Refusal(pod), HasSubstr("spec.containers[server]; set `command`"));
}

TEST(PodRewriteTest, TheDefinitionIsAskedForTheRightMcpServer) {
  Json pod = Pod();
  pod["spec"]["containers"][1].erase("command");
  pod["metadata"]["annotations"]["keyferry.dev/team"] = "other=eng";
  std::vector<std::string> asked;
  const auto define = [&](const std::vector<AskedServer>& servers) {
    for (const AskedServer& server : servers) asked.push_back(server.mcp_server + " " + server.team);
    return EachIs(LaunchDefinition{"uvx", {"$(A)", "b"}})(servers);
  };
  const absl::StatusOr<PodRewrite> rewrite = RewritePod(pod, Config(), define);
  ASSERT_TRUE(rewrite.ok()) << rewrite.status();
  EXPECT_THAT(asked, testing::ElementsAre("jira eng"));
  const Json command = pod.patch(rewrite->patch)["spec"]["containers"][1]["command"];
  EXPECT_EQ(command[command.size() - 3], "uvx");
  // Kubernetes would replace $(A) by a variable.
  EXPECT_EQ(command[command.size() - 2], "$$(A)");
}

TEST(PodRewriteTest, AllDefinitionsAreAskedForAtOnce) {
  Json pod = Pod();
  for (const int container : {0, 1}) pod["spec"]["containers"][container].erase("command");
  std::vector<size_t> asked;
  const auto define = [&](const std::vector<AskedServer>& servers) {
    asked.push_back(servers.size());
    std::vector<absl::StatusOr<LaunchDefinition>> definitions;
    for (const AskedServer& server : servers) definitions.push_back(LaunchDefinition{"run-" + server.mcp_server, {}});
    return definitions;
  };
  const absl::StatusOr<PodRewrite> rewrite = RewritePod(pod, Config(), define);
  ASSERT_TRUE(rewrite.ok()) << rewrite.status();
  EXPECT_THAT(asked, testing::ElementsAre(2));
  const Json after = pod.patch(rewrite->patch)["spec"]["containers"];
  EXPECT_EQ(after[0]["command"].back(), "run-github");
  EXPECT_EQ(after[1]["command"].back(), "run-jira");
  RewritePod(Pod(), Config(), define).value();
  EXPECT_EQ(asked.size(), 1u) << "asked for containers that have a command";
}

// What Kubernetes makes of a command or an argument, with the variable X=value.
std::string Expanded(const std::string& text) {
  std::string made;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text.compare(i, 4, "$(X)") == 0) {
      made += "value";
      i += 3;
      continue;
    }
    made += text[i];
    if (text.compare(i, 2, "$$") == 0) ++i;
  }
  return made;
}

TEST(PodRewriteTest, ADefinitionsArgumentsArriveAsTheyAre) {
  const std::vector<std::string> args = {"$$", "$", "a$", "$$(X)", "$(X)", "$$$(X)", "$X", "$(", "a$$b$$$"};
  Json pod = Pod();
  pod["spec"]["containers"][0].erase("command");
  const absl::StatusOr<PodRewrite> rewrite = RewritePod(pod, Config(), EachIs(LaunchDefinition{"uv$$x", args}));
  ASSERT_TRUE(rewrite.ok()) << rewrite.status();
  const Json command = pod.patch(rewrite->patch)["spec"]["containers"][0]["command"];
  const size_t first = command.size() - args.size();
  EXPECT_EQ(command[first - 1], "uv$$$$x");
  EXPECT_EQ(command[first], "$$$$");
  EXPECT_EQ(command[first + 2], "a$$");
  EXPECT_EQ(command[first + 3], "$$$$(X)");
  for (size_t i = 0; i < args.size(); ++i) EXPECT_EQ(Expanded(command[first + i]), args[i]);
}

TEST(PodRewriteTest, NothingIsMountedWhereTheLauncherIs) {
  for (const char* const path : {"/keyferry", "//keyferry", "/./keyferry/bin", "keyferry", "/x/../keyferry/"}) {
    Json pod = Pod();
    pod["spec"]["containers"][0]["volumeMounts"] = {{{"name", "data"}, {"mountPath", path}}};
    EXPECT_THAT(Refusal(pod), HasSubstr("mount it elsewhere")) << path;
  }
}

TEST(PodRewriteTest, ADefinitionThatCannotBeHadIsARefusal) {
  Json pod = Pod();
  pod["spec"]["containers"][0].erase("command");
  EXPECT_THAT(Refusal(pod, EachIs(absl::UnavailableError("the server cannot be reached"))),
              HasSubstr("the server cannot be reached"));
  EXPECT_THAT(Refusal(pod, EachIs(LaunchDefinition())), HasSubstr("defines none"));
}

// Whatever stands in an annotation becomes part of the agent's command line only in its own form.
TEST(PodRewriteTest, AnnotationsCannotAddOptions) {
  for (const char* const value : {"github,uid=0", "--token-file=/x", "github --x", "orgs/a/mcpServers/b/../c", "GitHub",
                                  "orgs/acme/mcpServers/", "a=b=c", "$(X)", "", ",", "server=", "=github"}) {
    Json pod = Pod();
    pod["metadata"]["annotations"]["keyferry.dev/mcp-server"] = std::string("server=") + value;
    EXPECT_FALSE(RewritePod(pod, Config(), nullptr).ok()) << value;
  }
  // Each name becomes an argument of every command, and each value is there once for every container.
  const std::string kTooManyNames = absl::StrJoin(std::vector<std::string>(65, "A"), " ");
  const struct {
    const char* name;
    const char* value;
  } kWrong[] = {{"session", "../x"},
                {"session", "v/a/b"},
                {"session", "v/.."},
                {"team", "Eng"},
                {"uid", "-1"},
                {"uid", "0"},
                {"uid", "1.0"},
                {"uid", "99999999999"},
                {"max-stale", "inf"},
                {"max-stale", "1000h"},
                {"image", "x y"},
                {"image", "--x"},
                {"on-rotate", "signal:"},
                {"on-rotate", "signal:H-UP"},
                {"drain-timeout", "-1s"},
                {"splay", "1"},
                {"splay", "25h"},
                {"debounce", "-100ms"},
                {"stop-timeout", "inf"},
                {"initialize-timeout", "0s"},
                {"clean-env", "yes"},
                {"unset", " "},
                {"unset", "$(X)"},
                {"unset", "A 1B"},
                {"unset", "A,B"},
                {"unset", kTooManyNames.c_str()},
                {"rotation", "both"},
                {"redact", "True"},
                {"cpu-limit", "lots"},
                {"memory-limit", "-1Mi"},
                {"injected", "v2"},
                {"supervise", "third=true"}};
  for (const auto& wrong : kWrong) {
    Json pod = Pod();
    pod["metadata"]["annotations"][std::string("keyferry.dev/") + wrong.name] = wrong.value;
    EXPECT_THAT(Refusal(pod), HasSubstr(std::string("keyferry.dev/") + wrong.name)) << wrong.value;
  }
  Json pod = Pod();
  pod["metadata"]["annotations"]["keyferry.dev/splay"] = std::string(100'000, 's');
  EXPECT_THAT(Refusal(pod), HasSubstr("a value of more than 65536 bytes"));
}

// The volumes are only going to be there when this runs, so that Kubernetes would not yet miss them.
TEST(PodRewriteTest, NoContainerMountsWhatIsGoingToBeThere) {
  for (const std::string& volume : {std::string(kIdentityVolume), std::string(kControlVolume),
                                    std::string(kLaunchVolume), SocketVolume("server"), SocketVolume("other")}) {
    for (const char* const list : {"containers", "initContainers"}) {
      Json pod = Pod();
      pod["spec"][list].push_back(
          {{"name", "thief"}, {"command", {"cat"}}, {"volumeMounts", {{{"name", volume}, {"mountPath", "/x"}}}}});
      EXPECT_THAT(Refusal(pod), HasSubstr("[thief]")) << volume;
    }
  }
}

// Before and after it is rewritten.
TEST(PodRewriteTest, TheSessionIsTheAgentsAlone) {
  Json pod = Pod();
  pod["metadata"]["annotations"]["keyferry.dev/session"] = "server=alice/token";
  pod["spec"]["volumes"] = {{{"name", "alice"}, {"secret", {{"secretName", "alice-session"}}}},
                            {{"name", "bob"}, {"secret", {{"secretName", "bob-session"}}}}};
  const absl::StatusOr<PodRewrite> rewrite = RewritePod(pod, Config(), nullptr);
  ASSERT_TRUE(rewrite.ok()) << rewrite.status();
  const Json secret = {{"name", "alice-session"}};
  const struct {
    const char* name;
    std::function<void(Json& spec)> change;
  } kCases[] = {
      {"mount",
       [](Json& spec) {
         spec["containers"][2]["volumeMounts"] = {{{"name", "alice"}, {"mountPath", "/x"}}};
       }},
      {"device",
       [](Json& spec) {
         spec["containers"][2]["volumeDevices"] = {{{"name", "alice"}, {"devicePath", "/x"}}};
       }},
      {"the Secret again",
       [](Json& spec) {
         spec["volumes"].push_back({{"name", "again"}, {"secret", {{"secretName", "alice-session"}}}});
       }},
      {"the Secret projected",
       [&](Json& spec) {
         spec["volumes"].push_back({{"name", "again"}, {"projected", {{"sources", {{{"secret", secret}}}}}}});
       }},
      {"all variables",
       [&](Json& spec) {
         spec["containers"][2]["envFrom"] = {{{"secretRef", secret}}};
       }},
      {"a variable",
       [&](Json& spec) {
         spec["containers"][0]["env"] = {{{"name", "X"}, {"valueFrom", {{"secretKeyRef", secret}}}}};
       }},
  };
  for (const auto& one : kCases) {
    for (Json changed : {pod, pod.patch(rewrite->patch)}) {
      EXPECT_TRUE(RewritePod(changed, Config(), nullptr).ok()) << one.name;
      one.change(changed["spec"]);
      EXPECT_THAT(Refusal(changed), HasSubstr("session")) << one.name;
    }
  }
  Json rewritten = pod.patch(rewrite->patch);
  rewritten["spec"]["initContainers"][0]["volumeMounts"].push_back({{"name", "alice"}, {"mountPath", "/x"}});
  EXPECT_THAT(Refusal(rewritten), HasSubstr("[keyferry-install]; remove the mount"));
}

TEST(PodRewriteTest, SocketVolumesAreDistinctLabels) {
  const std::string a = SocketVolume(std::string(62, 'a') + "b"), b = SocketVolume(std::string(62, 'a') + "c");
  EXPECT_NE(a, b);
  EXPECT_LE(a.size(), 63u);
  EXPECT_EQ(SocketVolume("server"), "keyferry-socket-server");
}

}  // namespace
}  // namespace keyferry::injector::webhook
