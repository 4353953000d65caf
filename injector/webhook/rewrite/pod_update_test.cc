// Pods that run: what debugging containers may use, and what an update may change.
#include "injector/webhook/rewrite/pod_update.h"

#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "injector/webhook/rewrite/admission_review.h"
#include "injector/webhook/rewrite/pod_rewrite.h"

namespace keyferry::injector::webhook {
namespace {

using testing::HasSubstr;

class PodUpdateTest : public testing::Test {
 protected:
  PodUpdateTest() {
    config_.org = "acme";
    const Json pod = Json::parse(R"({
      "metadata": {"name": "tool", "labels": {"keyferry.dev/inject": "true"},
                   "annotations": {"keyferry.dev/mcp-server": "server=github", "keyferry.dev/session": "alice/token"}},
      "spec": {"containers": [{"name": "server", "image": "server:1", "command": ["node"]},
                              {"name": "plain", "image": "plain:1"}],
               "volumes": [{"name": "alice", "secret": {"secretName": "alice-session", "defaultMode": 288}},
                           {"name": "data", "emptyDir": {}}]}})");
    running_ = pod.patch(RewritePod(pod, config_, nullptr).value().patch);
  }

  // "" if it is allowed, else the message.
  std::string Update(const Json& before, const Json& after, const std::string& part = "") {
    const Json review = {{"apiVersion", "admission.k8s.io/v1"},
                         {"kind", "AdmissionReview"},
                         {"request",
                          {{"uid", "1"},
                           {"resource", {{"group", ""}, {"version", "v1"}, {"resource", "pods"}}},
                           {"operation", "UPDATE"},
                           {"subResource", part},
                           {"oldObject", before},
                           {"object", after}}}};
    const absl::StatusOr<ReviewOutcome> outcome = AnswerReview(review.dump(), config_, ReviewServices());
    EXPECT_TRUE(outcome.ok()) << outcome.status();
    const Json response = Json::parse(outcome->response)["response"];
    EXPECT_FALSE(response.contains("patch"));
    warnings_ = response.value("warnings", Json::array()).dump();
    if (response["allowed"] == true) return "";
    return response["status"]["message"].get<std::string>();
  }

  std::string Debug(const Json& pod, Json container) { return DebugWith(pod, pod, std::move(container)); }

  // The body of the update is a copy of the pod that need not be true to it.
  std::string DebugWith(const Json& pod, Json body, Json container) {
    container["name"] = "debugger";
    container["image"] = "busybox";
    body["spec"]["ephemeralContainers"] = Json::array({container});
    return Update(pod, body, "ephemeralcontainers");
  }

  RewriteConfig config_;
  Json running_;
  // Of the last update, as a JSON list.
  std::string warnings_;
};

TEST_F(PodUpdateTest, ADebuggerOfOtherContainersIsAllowed) {
  const Json data = {{{"name", "data"}, {"mountPath", "/data"}}};
  EXPECT_EQ(Debug(running_, {{"volumeMounts", data}}), "");
  EXPECT_EQ(Debug(running_, {{"targetContainerName", "plain"}, {"volumeMounts", data}}), "");
}

// Whoever shares a process's namespace reads its environment and, through its root, reaches its socket.
TEST_F(PodUpdateTest, ADebuggerOfAContainerWithCredentialsNeedsToBeAllowed) {
  const Json debugger = {{"targetContainerName", "server"}};
  EXPECT_THAT(Debug(running_, debugger),
              testing::AllOf(HasSubstr("the processes of \"server\", and with them its credentials"),
                             HasSubstr("keyferry.dev/allow-debug: \"server=true\"")));
  const struct {
    const char* allowed;
    bool is;
  } kCases[] = {{"true", true},          {"server=true", true},   {"x=false, server = true", true},
                {"server=false", false}, {"false", false},        {"plain=true", false},
                {"server", false},       {"server=true=x", false}};
  for (const auto& one : kCases) {
    Json pod = running_;
    pod["metadata"]["annotations"]["keyferry.dev/allow-debug"] = one.allowed;
    EXPECT_EQ(Debug(pod, debugger) == "", one.is) << one.allowed;
    EXPECT_NE(Debug(pod, {{"targetContainerName", "keyferry-agent"}}), "");
    EXPECT_NE(Debug(pod, {{"volumeMounts", {{{"name", "keyferry-socket-server"}, {"mountPath", "/x"}}}}}), "");
  }
}

Json Adds(const char* capability) { return {{"securityContext", {{"capabilities", {{"add", {capability}}}}}}}; }

// With any target, or none.
TEST_F(PodUpdateTest, ADebuggerThatReachesTheNodeNeedsToBeAllowed) {
  const Json privileged = {{"securityContext", {{"privileged", true}}}};
  const struct {
    Json container;
    const char* why;
  } kCases[] = {{privileged, "is privileged"},
                {Adds("SYS_ADMIN"), "has the capability SYS_ADMIN"},
                {Adds("SYS_PTRACE"), "has the capability SYS_PTRACE"},
                {Adds("CAP_SYS_PTRACE"), "has the capability SYS_PTRACE"},
                {Adds("cap_sys_admin"), "has the capability SYS_ADMIN"},
                {Adds("sys_ptrace"), "has the capability SYS_PTRACE"},
                {Adds("ALL"), "has the capability SYS_ADMIN"},
                {Adds("all"), "has the capability SYS_ADMIN"}};
  Json allows = running_;
  allows["metadata"]["annotations"]["keyferry.dev/allow-debug"] = "server=true";
  for (const auto& one : kCases) {
    for (const char* const target : {"", "plain"}) {
      Json debugger = one.container;
      if (*target != '\0') debugger["targetContainerName"] = target;
      EXPECT_THAT(Debug(running_, debugger), testing::AllOf(HasSubstr(std::string("the container ") + one.why),
                                                            HasSubstr("spec.ephemeralContainers[debugger]; "),
                                                            HasSubstr("allow-debug: \"true\"")));
      EXPECT_NE(DebugWith(running_, allows, debugger), "");
      EXPECT_EQ(Debug(allows, debugger), "");
      EXPECT_THAT(warnings_, HasSubstr(std::string("keyferry: spec.ephemeralContainers[debugger] ") + one.why));
    }
  }
}

TEST_F(PodUpdateTest, ADebuggerThatReachesTheNodeReachesEveryContainerWithCredentials) {
  Json pod = running_;
  pod["spec"]["containers"][1]["volumeMounts"] = {{{"name", "keyferry-socket-plain"}, {"mountPath", "/keyferry/x"}}};
  pod["metadata"]["annotations"]["keyferry.dev/allow-debug"] = "server=true";
  EXPECT_THAT(Debug(pod, Adds("SYS_PTRACE")), HasSubstr("has the capability SYS_PTRACE"));
  EXPECT_EQ(Debug(pod, {{"targetContainerName", "server"}}), "");
  pod["metadata"]["annotations"]["keyferry.dev/allow-debug"] = "server=true, plain=true";
  EXPECT_EQ(Debug(pod, Adds("SYS_PTRACE")), "");
}

TEST_F(PodUpdateTest, ADebuggerMayHaveOtherCapabilities) {
  for (const char* const capability : {"NET_ADMIN", "SYS_CHROOT"}) {
    EXPECT_EQ(Debug(running_, Adds(capability)), "") << capability;
    EXPECT_EQ(warnings_, "[]");
  }
  EXPECT_EQ(Debug(running_, {{"securityContext", {{"privileged", false}, {"capabilities", {{"drop", {"ALL"}}}}}}}), "");
  const Json plain = Json::parse(R"({"metadata": {}, "spec": {"containers": [{"name": "server"}]}})");
  EXPECT_EQ(Debug(plain, {{"securityContext", {{"privileged", true}}}}), "");
}

// Else whoever may update pods would allow themselves to debug, or hide the pod from the webhook.
TEST_F(PodUpdateTest, APodWithTheAgentKeepsItsAnnotations) {
  for (const char* const part : {"", "status"}) {
    for (const char* const name : {"allow-debug", "mcp-server", "injected", "other"}) {
      Json after = running_;
      after["metadata"]["annotations"]["keyferry.dev/" + std::string(name)] = "true";
      EXPECT_THAT(Update(running_, after, part), HasSubstr("annotation keyferry.dev/" + std::string(name))) << part;
    }
    for (const char* const name : {"keyferry.dev/mcp-server", "keyferry.dev/injected"}) {
      Json after = running_;
      after["metadata"]["annotations"].erase(name);
      EXPECT_THAT(Update(running_, after, part), HasSubstr(std::string("annotation ") + name)) << part;
    }
    Json after = running_;
    after["metadata"].erase("annotations");
    EXPECT_NE(Update(running_, after, part), "");
    after = running_;
    after["metadata"]["annotations"]["cni.example/ip"] = "10.0.0.1";
    after["metadata"]["annotations"]["xkeyferry.dev/allow-debug"] = "true";
    EXPECT_EQ(Update(running_, after, part), "");
  }
}

TEST_F(PodUpdateTest, ADebuggerUsesNothingOfTheAgents) {
  for (const char* const volume : {"alice", "keyferry-identity", "keyferry-control", "keyferry-socket-server"}) {
    EXPECT_THAT(Debug(running_, {{"volumeMounts", {{{"name", volume}, {"mountPath", "/x"}}}}}),
                HasSubstr("spec.ephemeralContainers[debugger]; remove the mount"))
        << volume;
    EXPECT_THAT(Debug(running_, {{"volumeDevices", {{{"name", volume}, {"devicePath", "/x"}}}}}),
                HasSubstr("spec.ephemeralContainers[debugger]; remove the device"))
        << volume;
  }
}

TEST_F(PodUpdateTest, ADebuggersVariablesAreNotTheSession) {
  EXPECT_THAT(Debug(running_, {{"envFrom", {{{"secretRef", {{"name", "alice-session"}}}}}}}),
              HasSubstr("spec.ephemeralContainers[debugger]; remove it"));
  EXPECT_THAT(
      Debug(running_,
            {{"env",
              {{{"name", "X"}, {"valueFrom", {{"secretKeyRef", {{"name", "alice-session"}, {"key", "token"}}}}}}}}}),
      HasSubstr("spec.ephemeralContainers[debugger]; remove it"));
  EXPECT_EQ(Debug(running_, {{"envFrom", {{{"secretRef", {{"name", "other"}}}}}}}), "");
}

// Kubernetes puts the pod's own labels, annotations and containers back, after the webhook has seen the body.
TEST_F(PodUpdateTest, TheBodyOfADebuggerIsNotBelieved) {
  const Json target = {{"targetContainerName", "server"}};
  const Json mount = {{"volumeMounts", {{{"name", "alice"}, {"mountPath", "/x"}}}}};
  const Json variables = {{"envFrom", {{{"secretRef", {{"name", "alice-session"}}}}}}};
  Json allows = running_;
  allows["metadata"]["annotations"]["keyferry.dev/allow-debug"] = "true";
  Json without_mounts = running_;
  without_mounts["spec"]["containers"][0]["volumeMounts"] = Json::array();
  Json without_agent = running_;
  without_agent["metadata"]["labels"]["keyferry.dev/inject"] = "false";
  without_agent["spec"].erase("initContainers");
  Json without_volumes = running_;
  without_volumes["spec"]["initContainers"][1].erase("volumeMounts");
  without_volumes["spec"].erase("volumes");
  Json renamed = running_;
  renamed["spec"]["containers"][0]["name"] = "other";
  Json empty = {{"metadata", {{"name", "tool"}}}, {"spec", Json::object()}};
  for (const Json& body : {allows, without_mounts, without_agent, without_volumes, renamed, empty}) {
    EXPECT_THAT(DebugWith(running_, body, target), HasSubstr("the processes of \"server\"")) << body["metadata"];
    EXPECT_THAT(DebugWith(running_, body, mount), HasSubstr("remove the mount")) << body["metadata"];
    EXPECT_THAT(DebugWith(running_, body, variables), HasSubstr("spec.ephemeralContainers[debugger]; remove it"))
        << body["metadata"];
  }
  // Nor where it says less than is allowed.
  EXPECT_EQ(DebugWith(allows, running_, target), "");
  const Json plain = Json::parse(R"({"metadata": {}, "spec": {"containers": [{"name": "server"}]}})");
  EXPECT_EQ(DebugWith(plain, running_, mount), "");
}

TEST_F(PodUpdateTest, AnUpdateWithoutThePodBeforeOrAfterItIsRefused) {
  for (const char* const part : {"", "status", "ephemeralcontainers"}) {
    EXPECT_THAT(Update(Json(), running_, part), HasSubstr("before and after it: oldObject")) << part;
    EXPECT_THAT(Update(running_, Json(), part), HasSubstr("before and after it: object")) << part;
  }
  EXPECT_EQ(Update(Json(), running_, "eviction"), "");
}

TEST_F(PodUpdateTest, TheLabelDoesNotDecideWhatADebuggerMayDo) {
  for (const char* const label : {"false", "", "maybe"}) {
    Json pod = running_;
    pod["metadata"]["labels"]["keyferry.dev/inject"] = label;
    if (*label == '\0') pod["metadata"].erase("labels");
    EXPECT_THAT(Debug(pod, {{"targetContainerName", "keyferry-agent"}}), HasSubstr("target another container"))
        << label;
    EXPECT_NE(Debug(pod, {{"volumeMounts", {{{"name", "alice"}, {"mountPath", "/x"}}}}}), "") << label;
  }
}

TEST_F(PodUpdateTest, APodWithTheAgentKeepsItsLabel) {
  for (const char* const part : {"", "status"}) {
    Json after = running_;
    after["metadata"]["labels"]["keyferry.dev/inject"] = "false";
    EXPECT_THAT(Update(running_, after, part), HasSubstr("label keyferry.dev/inject"));
    after["metadata"].erase("labels");
    EXPECT_THAT(Update(running_, after, part), HasSubstr("label keyferry.dev/inject"));
  }
}

TEST_F(PodUpdateTest, WhatWasAddedKeepsItsImage) {
  for (const int added : {0, 1}) {
    Json after = running_;
    after["spec"]["initContainers"][added]["image"] = "evil:1";
    EXPECT_THAT(Update(running_, after), HasSubstr("would run another image: spec.initContainers[keyferry-"));
  }
}

TEST_F(PodUpdateTest, AllElseMayBeUpdated) {
  Json after = running_;
  after["metadata"]["labels"]["app"] = "tool";
  after["spec"]["containers"][0]["image"] = "server:2";
  EXPECT_EQ(Update(running_, after), "");
  // A pod that was labelled when it ran already.
  const Json plain = {{"metadata", {{"name", "plain"}, {"labels", {{"keyferry.dev/inject", "true"}}}}},
                      {"spec", {{"containers", {{{"name", "server"}, {"image", "server:1"}}}}}}};
  Json unlabelled = plain;
  unlabelled["metadata"].erase("labels");
  EXPECT_EQ(Update(plain, unlabelled), "");
  EXPECT_EQ(Update(unlabelled, plain), "");
}

}  // namespace
}  // namespace keyferry::injector::webhook
