// Pods that run: what debugging containers may use, and what an update may change.
#include "injector/webhook/rewrite/pod_update.h"

#include <string>

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
                   "annotations": {"keyferry.dev/mcp-server": "github", "keyferry.dev/session": "alice/token"}},
      "spec": {"containers": [{"name": "server", "image": "server:1", "command": ["node"]}],
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
    if (response["allowed"] == true) return "";
    return response["status"]["message"].get<std::string>();
  }

  std::string Debug(const Json& pod, Json container) {
    Json after = pod;
    container["name"] = "debugger";
    container["image"] = "busybox";
    after["spec"]["ephemeralContainers"] = Json::array({container});
    return Update(pod, after, "ephemeralcontainers");
  }

  RewriteConfig config_;
  Json running_;
};

TEST_F(PodUpdateTest, ADebuggerOfTheServerIsAllowed) {
  EXPECT_EQ(Debug(running_,
                  {{"targetContainerName", "server"}, {"volumeMounts", {{{"name", "data"}, {"mountPath", "/data"}}}}}),
            "");
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
  Json after = running_;
  after["metadata"]["labels"]["keyferry.dev/inject"] = "false";
  EXPECT_THAT(Update(running_, after), HasSubstr("label keyferry.dev/inject"));
  after["metadata"].erase("labels");
  EXPECT_THAT(Update(running_, after), HasSubstr("label keyferry.dev/inject"));
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
  EXPECT_EQ(Update(Json(), running_), "");
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
