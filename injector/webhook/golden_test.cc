// Pods of testdata/ before and after, and what must hold of every answer. See testdata/README.md.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "gtest/gtest.h"
#include "injector/webhook/rewrite/added_names.h"
#include "injector/webhook/rewrite/admission_review.h"
#include "injector/webhook/rewrite/bounded_json.h"
#include "injector/webhook/rewrite/rewrite_config.h"

namespace keyferry::injector::webhook {
namespace {

constexpr size_t kReviews = 90;

std::string* testdata = new std::string("injector/webhook/testdata");

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<std::string> Names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(*testdata)) {
    const std::string file = entry.path().filename().string();
    absl::string_view name = file;
    if (absl::ConsumeSuffix(&name, ".review.json")) names.emplace_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

RewriteConfig Config() {
  const std::string path = *testdata + "/config.yaml";
  return ParseRewriteConfig(ReadFile(path), path).value();
}

std::vector<absl::StatusOr<LaunchDefinition>> Define(const std::vector<AskedServer>& servers) {
  std::vector<absl::StatusOr<LaunchDefinition>> definitions;
  for (const AskedServer& server : servers) {
    definitions.push_back(absl::NotFoundError("there is no such MCP server"));
    if (server.mcp_server != "defined") continue;
    definitions.back() = LaunchDefinition{
        "npx", {"-y", "@modelcontextprotocol/server-everything", "--home=$(HOME)", "$$", "$$(X)", "cost$"}};
  }
  return definitions;
}

// A review, what is answered, and the pod after the patch.
struct Case {
  Json request;
  Json response;
  Json before;
  Json after;

  bool allowed() const { return response.at("allowed").get<bool>(); }
  bool rewritten() const { return response.contains("patch"); }
};

Case AnswerOf(const Json& review) {
  ReviewServices services;
  services.definitions = Define;
  const absl::StatusOr<ReviewOutcome> outcome = AnswerReview(review.dump(), Config(), services);
  EXPECT_TRUE(outcome.ok()) << outcome.status();
  Case done;
  if (!outcome.ok()) return done;
  const Json answer = Json::parse(outcome->response);
  EXPECT_EQ(answer.at("apiVersion"), "admission.k8s.io/v1");
  EXPECT_EQ(answer.at("kind"), "AdmissionReview");
  done.request = review.at("request");
  done.response = answer.at("response");
  EXPECT_EQ(done.response.at("uid"), done.request.at("uid"));
  done.before = done.request.at("object");
  done.after = done.before;
  if (done.rewritten()) {
    EXPECT_EQ(done.response.at("patchType"), "JSONPatch");
    std::string patch;
    EXPECT_TRUE(absl::Base64Unescape(done.response.at("patch").get<std::string>(), &patch));
    done.after = done.before.patch(Json::parse(patch));
  }
  return done;
}

Case AnswerOf(const std::string& name) {
  return AnswerOf(Json::parse(ReadFile(*testdata + "/" + name + ".review.json")));
}

std::string Golden(const Case& done) {
  Json golden = {{"allowed", done.allowed()}};
  if (done.response.contains("status")) golden["message"] = done.response.at("status").at("message");
  if (done.response.contains("warnings")) golden["warnings"] = done.response.at("warnings");
  if (done.rewritten()) golden["object"] = done.after;
  return golden.dump(1) + "\n";
}

// The list of a pod's spec, empty if it has none.
std::vector<Json> ListOf(const Json& pod, const char* list) {
  if (!pod.contains("spec") || !pod.at("spec").contains(list) || !pod.at("spec").at(list).is_array()) return {};
  return pod.at("spec").at(list).get<std::vector<Json>>();
}

std::vector<Json> ContainersOf(const Json& pod) {
  std::vector<Json> all = ListOf(pod, "initContainers");
  for (Json& one : ListOf(pod, "containers")) all.push_back(std::move(one));
  return all;
}

bool Mounts(const Json& container, const std::string& volume) {
  const Json mounts = container.value("volumeMounts", Json());
  return std::any_of(mounts.begin(), mounts.end(), [&](const Json& mount) { return mount.at("name") == volume; });
}

// Takes away again what the rewrite is said to add, so that what is left must be what was there.
Json WithoutAdditions(Json pod, const Json& before) {
  Json& spec = pod["spec"];
  const auto drop = [&](const char* list, const auto& added) {
    Json kept = Json::array();
    for (Json& one : spec[list]) {
      if (!added(one.at("name").get<std::string>())) kept.push_back(std::move(one));
    }
    spec[list] = kept;
    if (!kept.empty()) return;
    const Json& original = before.at("spec");
    if (original.contains(list)) {
      spec[list] = original.at(list);
    } else {
      spec.erase(list);
    }
  };
  drop("initContainers", IsAddedContainer);
  drop("volumes", IsAddedVolume);
  pod["metadata"]["annotations"].erase("keyferry.dev/injected");
  return pod;
}

// The command behind the launcher, or the command itself.
std::vector<std::string> Unwrapped(const Json& command) {
  std::vector<std::string> words = command.get<std::vector<std::string>>();
  if (words.empty() || words[0] != "/keyferry/bin/keyferry-launch") return words;
  words.erase(words.begin(), std::find(words.begin(), words.end(), "--") + 1);
  return words;
}

void Unwrap(Json& container, const Json& before) {
  container["command"] = Unwrapped(container.at("command"));
  if (!before.contains("command")) container.erase("command");
  Json mounts = Json::array();
  for (const Json& mount : container.value("volumeMounts", Json::array())) {
    if (!IsAddedVolume(mount.at("name").get<std::string>())) mounts.push_back(mount);
  }
  container["volumeMounts"] = mounts;
  if (mounts.empty()) {
    container.erase("volumeMounts");
    if (before.contains("volumeMounts")) container["volumeMounts"] = before.at("volumeMounts");
  }
  for (const char* const probe : {"startupProbe", "livenessProbe", "readinessProbe"}) {
    if (container.contains(probe) && container.at(probe).contains("exec")) {
      container[probe]["exec"]["command"] = Unwrapped(container.at(probe).at("exec").at("command"));
    }
  }
  for (const char* const hook : {"postStart", "preStop"}) {
    const Json lifecycle = container.value("lifecycle", Json());
    if (!lifecycle.contains(hook) || !lifecycle.at(hook).contains("exec")) continue;
    container["lifecycle"][hook]["exec"]["command"] = Unwrapped(lifecycle.at(hook).at("exec").at("command"));
  }
}

class GoldenTest : public testing::TestWithParam<std::string> {
 protected:
  const Case done_ = AnswerOf(GetParam());
};

TEST_P(GoldenTest, Answer) { EXPECT_EQ(Golden(done_), ReadFile(*testdata + "/" + GetParam() + ".golden.json")); }

TEST_P(GoldenTest, RefusalsSayWhatWhereAndWhatToDo) {
  EXPECT_EQ(!done_.allowed(), absl::StartsWith(GetParam(), "refused_"));
  if (done_.allowed()) return;
  EXPECT_FALSE(done_.rewritten());
  const std::string message = done_.response.at("status").at("message").get<std::string>();
  EXPECT_TRUE(absl::StartsWith(message, "keyferry: ")) << message;
  EXPECT_TRUE(absl::StrContains(message, ": ")) << message;
  EXPECT_TRUE(absl::StrContains(message, "; ")) << message;
}

TEST_P(GoldenTest, OnlyLabelledPodsAreTouched) {
  const Json labels = done_.before.value("metadata", Json()).value("labels", Json::object());
  if (!labels.contains("keyferry.dev/inject") || labels.at("keyferry.dev/inject") == "false") {
    EXPECT_EQ(done_.after, done_.before);
    EXPECT_TRUE(done_.allowed());
  }
}

TEST_P(GoldenTest, Idempotent) {
  if (!done_.rewritten()) return;
  Json review = {{"apiVersion", "admission.k8s.io/v1"}, {"kind", "AdmissionReview"}, {"request", done_.request}};
  review["request"]["object"] = done_.after;
  const Case again = AnswerOf(review);
  EXPECT_TRUE(again.allowed());
  EXPECT_FALSE(again.rewritten());
}

// What others add between two calls, as the ServiceAccount and LimitRanger plugins do, does not matter.
TEST_P(GoldenTest, IdempotentAfterOthers) {
  if (!done_.rewritten()) return;
  Json review = {{"apiVersion", "admission.k8s.io/v1"}, {"kind", "AdmissionReview"}, {"request", done_.request}};
  Json pod = done_.after;
  pod["spec"]["volumes"].push_back({{"name", "kube-api-access-abcde"}, {"emptyDir", Json::object()}});
  for (const char* const list : {"initContainers", "containers"}) {
    for (Json& container : pod["spec"][list]) {
      if (!container.contains("volumeMounts") || container["volumeMounts"].is_null()) {
        container["volumeMounts"] = Json::array();
      }
      container["volumeMounts"].push_back({{"name", "kube-api-access-abcde"}, {"mountPath", "/var/run/secrets/x"}});
      container["image"] = "mirror.example/" + container.value("image", "");
      container["terminationMessagePath"] = "/dev/termination-log";
    }
  }
  pod["spec"]["containers"].push_back({{"name", "mesh"}, {"image", "mesh"}});
  review["request"]["object"] = pod;
  const Case again = AnswerOf(review);
  EXPECT_TRUE(again.allowed()) << again.response;
  EXPECT_FALSE(again.rewritten());
}

TEST_P(GoldenTest, IdentityIsMountedOnlyByTheAgent) {
  if (!done_.rewritten()) return;
  int tokens = 0;
  for (const Json& volume : ListOf(done_.after, "volumes")) {
    if (volume.dump().find("\"audience\":\"keyferry\"") == std::string::npos) continue;
    ++tokens;
    EXPECT_EQ(volume.at("name"), "keyferry-identity");
  }
  EXPECT_EQ(tokens, 1);
  for (const Json& container : ContainersOf(done_.after)) {
    EXPECT_EQ(Mounts(container, "keyferry-identity"), container.at("name") == "keyferry-agent") << container;
    EXPECT_EQ(Mounts(container, "keyferry-control"), container.at("name") == "keyferry-agent") << container;
  }
}

TEST_P(GoldenTest, EachContainerReachesItsOwnSocketAlone) {
  if (!done_.rewritten()) return;
  std::set<std::string> sockets;
  for (const Json& volume : ListOf(done_.after, "volumes")) {
    const std::string name = volume.at("name").get<std::string>();
    if (!absl::StartsWith(name, "keyferry-socket-")) continue;
    EXPECT_TRUE(sockets.insert(name).second) << name;
  }
  EXPECT_FALSE(sockets.empty());
  for (const std::string& socket : sockets) {
    int users = 0;
    for (const Json& container : ContainersOf(done_.after)) {
      if (!Mounts(container, socket)) continue;
      if (container.at("name") == "keyferry-agent") continue;
      ++users;
      EXPECT_EQ(SocketVolume(container.at("name").get<std::string>()), socket);
      for (const Json& mount : container.at("volumeMounts")) {
        if (!IsAddedVolume(mount.at("name").get<std::string>())) continue;
        EXPECT_EQ(mount.at("readOnly"), true);
      }
    }
    EXPECT_EQ(users, 1) << socket;
  }
}

TEST_P(GoldenTest, NothingElseChanges) {
  if (!done_.rewritten()) return;
  Json left = WithoutAdditions(done_.after, done_.before);
  for (const char* const list : {"initContainers", "containers"}) {
    if (!left.at("spec").contains(list) || !left.at("spec").at(list).is_array()) continue;
    for (size_t i = 0; i < left.at("spec").at(list).size(); ++i) {
      Json& container = left["spec"][list][i];
      if (container.contains("command")) Unwrap(container, done_.before.at("spec").at(list).at(i));
    }
  }
  EXPECT_EQ(left, done_.before);
}

TEST_P(GoldenTest, NoSecretIsAdded) {
  if (!done_.rewritten()) return;
  for (const Json& container : ListOf(done_.after, "initContainers")) {
    if (!IsAddedContainer(container.at("name").get<std::string>())) continue;
    EXPECT_EQ(container.dump().find("secret"), std::string::npos) << container;
    for (const Json& variable : container.value("env", Json::array())) {
      const std::string name = variable.at("name").get<std::string>();
      EXPECT_TRUE(absl::StartsWith(name, "KEYFERRY_") || absl::StartsWith(name, "POD_")) << name;
    }
  }
  for (const Json& volume : ListOf(done_.after, "volumes")) {
    if (IsAddedVolume(volume.at("name").get<std::string>())) {
      EXPECT_EQ(volume.dump().find("secret"), std::string::npos) << volume;
    }
  }
  // Containers get no variable at all.
  const Json before = ContainersOf(done_.before);
  for (const Json& container : ContainersOf(done_.after)) {
    if (IsAddedContainer(container.at("name").get<std::string>())) continue;
    const auto same = std::find_if(before.begin(), before.end(),
                                   [&](const Json& one) { return one.at("name") == container.at("name"); });
    ASSERT_NE(same, before.end());
    EXPECT_EQ(container.value("env", Json()), same->value("env", Json()));
  }
}

// The Pod Security Standard `restricted`, and a read-only root file system and resources besides.
TEST_P(GoldenTest, WhatIsAddedIsRestricted) {
  if (!done_.rewritten()) return;
  int added = 0;
  for (const Json& container : ListOf(done_.after, "initContainers")) {
    if (!IsAddedContainer(container.at("name").get<std::string>())) continue;
    ++added;
    const Json& context = container.at("securityContext");
    EXPECT_EQ(context.at("allowPrivilegeEscalation"), false);
    EXPECT_EQ(context.at("privileged"), false);
    EXPECT_EQ(context.at("runAsNonRoot"), true);
    EXPECT_GT(context.at("runAsUser").get<int>(), 0);
    EXPECT_EQ(context.at("readOnlyRootFilesystem"), true);
    EXPECT_EQ(context.at("capabilities"), Json({{"drop", Json::array({"ALL"})}}));
    EXPECT_EQ(context.at("seccompProfile").at("type"), "RuntimeDefault");
    EXPECT_FALSE(context.contains("procMount") || container.contains("ports"));
    for (const char* const kind : {"limits", "requests"}) {
      for (const char* const resource : {"cpu", "memory"}) {
        EXPECT_FALSE(container.at("resources").at(kind).at(resource).get<std::string>().empty());
      }
    }
  }
  EXPECT_EQ(added, 2);
  EXPECT_EQ(done_.after.at("spec").at("initContainers").at(1).at("restartPolicy"), "Always");
  for (const Json& volume : ListOf(done_.after, "volumes")) {
    if (!IsAddedVolume(volume.at("name").get<std::string>())) continue;
    EXPECT_TRUE(volume.contains("projected") || volume.at("emptyDir").at("medium") == "Memory") << volume;
  }
}

INSTANTIATE_TEST_SUITE_P(Pods, GoldenTest, testing::ValuesIn(Names()),
                         [](const testing::TestParamInfo<std::string>& info) { return info.param; });

TEST(GoldenFilesTest, AllAreThere) { EXPECT_EQ(Names().size(), kReviews); }

int Update() {
  for (const std::string& name : Names())
    std::ofstream(*testdata + "/" + name + ".golden.json") << Golden(AnswerOf(name));
  std::cout << "wrote " << Names().size() << " goldens" << std::endl;
  return 0;
}

}  // namespace
}  // namespace keyferry::injector::webhook

int main(int argc, char** argv) {
  using keyferry::injector::webhook::testdata;
  if (argc == 3 && std::string(argv[1]) == "--update") {
    *testdata = argv[2];
    return keyferry::injector::webhook::Update();
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
