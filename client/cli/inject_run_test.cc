#include <string>

#include "client/cli/run_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace keyferry::client::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr char kDeployment[] = R"(# A comment.
apiVersion: v1
kind: Service
metadata: {name: tool}
spec: {ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: tool}
spec:
  template:
    metadata:
      labels: {app: tool, keyferry.dev/inject: "true"}
      annotations: {keyferry.dev/mcp-server: github}
    spec:
      containers:
        - name: server
          image: registry.example/github:1
          command: [node, index.js]
)";

class InjectTest : public RunTest {
 protected:
  int Inject(const std::string& options, const std::string& manifest) {
    return Keyferry("inject -f - " + options, manifest);
  }

  std::string Replace(std::string text, const std::string& what, const std::string& with) {
    const size_t place = text.find(what);
    EXPECT_NE(place, std::string::npos);
    return text.replace(place, what.size(), with);
  }
};

TEST_F(InjectTest, RewritesTemplatesAndPrintsTheRestAsItIs) {
  EXPECT_EQ(Inject("-o json", kDeployment), 0) << error_;
  const nlohmann::json list = Json();
  EXPECT_EQ(list["kind"], "List");
  EXPECT_EQ(list["items"][0]["spec"]["ports"][0]["port"], 80);
  const nlohmann::json& pod = list["items"][1]["spec"]["template"];
  EXPECT_EQ(pod["spec"]["initContainers"][1]["name"], "keyferry-agent");
  EXPECT_EQ(pod["spec"]["containers"][0]["command"][0], "/keyferry/bin/keyferry-launch");
  EXPECT_EQ(pod["metadata"]["annotations"]["keyferry.dev/injected"], "v1");
  EXPECT_EQ(error_, "");
  EXPECT_TRUE(server_->Requests().empty());
}

TEST_F(InjectTest, PrintsYamlThatIsReadAgainAsWritten) {
  EXPECT_EQ(Inject("", kDeployment), 0) << error_;
  EXPECT_THAT(output_, HasSubstr("\n---\n"));
  EXPECT_THAT(output_, HasSubstr("keyferry.dev/inject: \"true\""));
  const std::string once = output_;
  EXPECT_EQ(Inject("", once), 0) << error_;
  EXPECT_EQ(output_, once);
  EXPECT_EQ(Inject("--patch", once), 0) << error_;
  EXPECT_EQ(output_, "[]\n[]\n");
}

TEST_F(InjectTest, PrintsPatchesFromTheRootOfEachObject) {
  EXPECT_EQ(Inject("--patch", kDeployment), 0) << error_;
  EXPECT_THAT(output_, testing::StartsWith("[]\n"));
  EXPECT_THAT(output_, HasSubstr("\"path\":\"/spec/template/spec/initContainers\""));
}

TEST_F(InjectTest, RefusedPodsFailAndNothingIsPrinted) {
  EXPECT_EQ(Inject("", Replace(kDeployment, "command: [node, index.js]", "args: [serve]")), 65);
  EXPECT_EQ(output_, "");
  EXPECT_THAT(error_, HasSubstr("standard input: Deployment/tool: "));
  EXPECT_THAT(error_, HasSubstr("no command"));
  EXPECT_EQ(Inject("", Replace(kDeployment, "keyferry.dev/mcp-server", "keyferry.dev/mcp-servr")), 65);
  EXPECT_THAT(error_, HasSubstr("is keyferry.dev/mcp-server meant?"));
}

TEST_F(InjectTest, TakesTheWebhooksConfiguration) {
  const std::string config = Write("webhook.yaml", "image: registry.example/keyferry:2\nuid: auto\n");
  EXPECT_EQ(Inject("-o json --config " + config, kDeployment), 0) << error_;
  const nlohmann::json agent = Json()["items"][1]["spec"]["template"]["spec"]["initContainers"][1];
  EXPECT_EQ(agent["image"], "registry.example/keyferry:2");
  EXPECT_FALSE(agent["securityContext"].contains("runAsUser"));
  EXPECT_EQ(Inject("--config " + Write("bad.yaml", "imgae: x\n"), kDeployment), 65);
  EXPECT_THAT(error_, HasSubstr("bad.yaml:1:1: no such setting"));
}

TEST_F(InjectTest, WorksWithoutAServer) {
  variables_ = {{"KEYFERRY_ORG", "acme"}};
  EXPECT_EQ(Inject("", kDeployment), 0) << error_;
  variables_.clear();
  EXPECT_EQ(Inject("", kDeployment), 65);
  EXPECT_THAT(error_, HasSubstr("needs an organization"));
}

TEST_F(InjectTest, SaysWhereTheLabelBelongs) {
  std::string manifest = Replace(kDeployment, ", keyferry.dev/inject: \"true\"", "");
  manifest = Replace(manifest, "kind: Deployment\nmetadata: {name: tool}",
                     "kind: Deployment\nmetadata: {name: tool, labels: {keyferry.dev/inject: \"true\"}}");
  EXPECT_EQ(Inject("", manifest), 0);
  EXPECT_THAT(error_, HasSubstr("label spec.template.metadata"));
  EXPECT_THAT(error_, HasSubstr("no pod is labelled"));
  EXPECT_THAT(output_, Not(HasSubstr("keyferry-agent")));
}

TEST_F(InjectTest, SaysThatAnUnknownKindIsLeftAlone) {
  const std::string rollout = Replace(Replace(kDeployment, "apps/v1", "argoproj.io/v1alpha1"), "Deployment", "Rollout");
  EXPECT_EQ(Inject("", rollout), 0);
  EXPECT_THAT(error_, HasSubstr("Rollout/tool is left alone, although its spec.template is labelled"));
  EXPECT_THAT(error_, Not(HasSubstr("no pod is labelled")));
  EXPECT_THAT(output_, Not(HasSubstr("keyferry-agent")));
  // In a list, beside one that is rewritten.
  const std::string in_list = R"({"kind": "List", "items": [{"kind": "Rollout", "metadata": {"name": "a"}, "spec":
      {"template": {"metadata": {"labels": {"keyferry.dev/inject": "true"}}}}}]})";
  EXPECT_EQ(Inject("", std::string(kDeployment) + "---\n" + in_list), 0);
  EXPECT_THAT(error_, HasSubstr("Rollout/a is left alone"));
  EXPECT_EQ(Inject("", Replace(rollout, "keyferry.dev/inject: \"true\"", "keyferry.dev/inject: \"false\"")), 0);
  EXPECT_THAT(error_, Not(HasSubstr("is left alone")));
  EXPECT_THAT(error_, HasSubstr("no pod is labelled"));
}

TEST_F(InjectTest, RefusesClaimTemplatesInTheWayOfWhatIsAdded) {
  const std::string set = Replace(kDeployment, "Deployment", "StatefulSet") +
                          "  volumeClaimTemplates: [{metadata: {name: data}}, {metadata: {name: keyferry-control}}]\n";
  EXPECT_EQ(Inject("", set), 65);
  EXPECT_EQ(output_, "");
  EXPECT_THAT(error_, HasSubstr("StatefulSet/tool: the claim template has the name of a volume that is added: "
                                "spec.volumeClaimTemplates[keyferry-control]; rename it"));
  // One that was rewritten, and then given the claim.
  const std::string plain = Replace(set, "keyferry-control", "more");
  EXPECT_EQ(Inject("", plain), 0) << error_;
  EXPECT_EQ(Inject("", Replace(output_, "name: more", "name: keyferry-identity")), 65);
  EXPECT_THAT(error_, HasSubstr("volumeClaimTemplates[keyferry-identity]"));
  // Pods that get nothing may be called as they like.
  EXPECT_EQ(Inject("", Replace(set, "keyferry.dev/inject: \"true\"", "keyferry.dev/inject: \"false\"")), 0);
}

TEST_F(InjectTest, DryRunSaysWhatWouldFail) {
  EXPECT_EQ(Inject("--dry-run", kDeployment), 1);
  EXPECT_EQ(output_, "server (github): GITHUB_TOKEN would fail: Set by the organization.\n");
  EXPECT_THAT(error_, HasSubstr("variables without a value: 1"));
}

TEST_F(InjectTest, UnreadableManifests) {
  EXPECT_EQ(Inject("", ""), 65);
  EXPECT_EQ(Inject("", "a: [1"), 65);
  EXPECT_THAT(error_, HasSubstr("standard input:"));
  EXPECT_EQ(Keyferry("inject -f /nonexistent/pod.yaml"), 65);
  EXPECT_EQ(Keyferry("inject"), 64);
}

}  // namespace
}  // namespace keyferry::client::cli
