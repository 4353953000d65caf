#include "injector/webhook/admission_handler.h"

#include <new>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "injector/webhook/rewrite/bounded_json.h"
#include "metrics/exposition.h"

namespace keyferry::injector::webhook {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Json Review() {
  return Json::parse(R"({
    "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
    "request": {"uid": "1", "resource": {"group": "", "version": "v1", "resource": "pods"}, "operation": "CREATE",
      "namespace": "tools", "name": "tool", "dryRun": false,
      "object": {"metadata": {"labels": {"keyferry.dev/inject": "true"},
                              "annotations": {"keyferry.dev/mcp-server": "github"}},
                 "spec": {"containers": [{"name": "server", "command": ["node"]}]}}}})");
}

class AdmissionHandlerTest : public testing::Test {
 protected:
  AdmissionHandlerTest() {
    RewriteConfig config;
    config.org = "acme";
    ReviewServices services;
    services.check = [](const std::vector<ChosenContainer>& containers) {
      return std::vector<std::string>{"container " + containers[0].name + ": GITHUB_TOKEN would have no value"};
    };
    const auto until = [this, services](absl::Time deadline) {
      deadline_ = deadline;
      return services;
    };
    handler_ = MakeAdmissionHandler(
        config, until, [this](const std::string& line) { log_.push_back(line); }, &metrics_);
  }

  HttpAnswer Ask(const std::string& method, const std::string& target, const std::string& body = "") {
    return handler_({method, target, body, kReceived});
  }

  Json Answer(const Json& review) {
    const HttpAnswer answer = Ask("POST", "/mutate?timeout=10s", review.dump());
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.content_type, "application/json");
    return Json::parse(answer.body)["response"];
  }

  // Reviews that were patched, untouched, refused and failed.
  std::vector<int> Counted() const {
    metrics::Exposition out;
    metrics_.WriteTo({}, &out);
    const std::string text = out.Take();
    std::vector<int> counts;
    for (const char* const outcome : {"patched", "untouched", "refused", "failed"}) {
      const std::string sample = absl::StrCat("keyferry_webhook_reviews_total{outcome=\"", outcome, "\"} ");
      counts.push_back(std::stoi(text.substr(text.find(sample) + sample.size())));
    }
    return counts;
  }

  const absl::Time kReceived = absl::FromUnixSeconds(1000);
  WebhookMetrics metrics_;
  HttpHandler handler_;
  absl::Time deadline_;
  std::vector<std::string> log_;
};

TEST_F(AdmissionHandlerTest, RoutesRequests) {
  EXPECT_EQ(Ask("GET", "/healthz").body, "ok\n");
  EXPECT_EQ(Ask("POST", "/healthz").status, 405);
  EXPECT_EQ(Ask("GET", "/mutate").status, 405);
  EXPECT_EQ(Ask("POST", "/").status, 404);
  EXPECT_TRUE(log_.empty());
}

TEST_F(AdmissionHandlerTest, SaysWhatItDid) {
  EXPECT_EQ(Answer(Review())["allowed"], true);
  Json refused = Review();
  refused["request"]["name"] = "a\nkeyferry: forged\x1b[2J";
  refused["request"]["object"]["spec"]["hostPID"] = true;
  EXPECT_EQ(Answer(refused)["allowed"], false);
  ASSERT_EQ(log_.size(), 2u);
  EXPECT_EQ(log_[0], "rewrote tools/tool");
  EXPECT_THAT(log_[1], testing::StartsWith("refused tools/a?keyferry: forged?[2J: "));
}

// Kubernetes has not looked at names yet when it asks.
TEST_F(AdmissionHandlerTest, NamesAreShownWithoutHarm) {
  std::string name;
  while (name.size() < 3000) name += "\u20ac\n";
  Json review = Review();
  review["request"]["object"]["spec"]["containers"].push_back(
      {{"name", name}, {"securityContext", {{"privileged", true}}}});
  review["request"]["object"]["metadata"]["annotations"]["keyferry.dev/mcp-server"] = "server=github";
  const std::string warning = Answer(review)["warnings"][0].get<std::string>();
  EXPECT_LE(warning.size(), 300u);
  EXPECT_EQ(warning.find('\n'), std::string::npos);
  review["request"]["object"]["spec"]["containers"].push_back({{"name", name}});
  const std::string message = Answer(review)["status"]["message"].get<std::string>();
  EXPECT_LE(message.size(), 2100u);
  EXPECT_EQ(message.find('\n'), std::string::npos);
}

// Kubernetes then does what failurePolicy says: it refuses the pod.
TEST_F(AdmissionHandlerTest, WhatIsNoReviewIsNoAnswer) {
  for (const char* const body :
       {"", "[]", "{}", R"({"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"})",
        R"({"apiVersion":"admission.k8s.io/v1beta1","kind":"AdmissionReview","request":{"uid":"1"}})",
        R"({"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":""}})",
        R"({"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"1","uid":"2"}})"}) {
    EXPECT_EQ(Ask("POST", "/mutate", body).status, 400) << body;
  }
}

TEST_F(AdmissionHandlerTest, CountsReviewsByHowTheyEnd) {
  Json other = Review();
  other["request"]["resource"]["group"] = "apps";
  Json refused = Review();
  refused["request"]["object"]["spec"]["hostPID"] = true;
  for (int i = 0; i < 2; ++i) Answer(Review());
  for (int i = 0; i < 3; ++i) Answer(other);
  for (int i = 0; i < 4; ++i) Answer(refused);
  for (int i = 0; i < 5; ++i) Ask("POST", "/mutate", "{}");
  // These are no reviews.
  Ask("GET", "/healthz");
  Ask("GET", "/mutate");
  Ask("POST", "/");
  EXPECT_THAT(Counted(), ElementsAre(2, 3, 4, 5));
}

TEST_F(AdmissionHandlerTest, AReviewThatThrowsHasFailed) {
  const auto throws = [](absl::Time) -> ReviewServices { throw std::bad_alloc(); };
  handler_ = MakeAdmissionHandler(
      RewriteConfig(), throws, [](const std::string&) {}, &metrics_);
  EXPECT_THROW(Ask("POST", "/mutate", Review().dump()), std::bad_alloc);
  EXPECT_THAT(Counted(), ElementsAre(0, 0, 0, 1));
}

TEST_F(AdmissionHandlerTest, OnlyADryRunAsksForBindings) {
  EXPECT_FALSE(Answer(Review()).contains("warnings"));
  Json dry = Review();
  dry["request"]["dryRun"] = true;
  EXPECT_THAT(Answer(dry)["warnings"].get<std::vector<std::string>>(),
              ElementsAre("keyferry: container server: GITHUB_TOKEN would have no value"));
  dry["request"]["object"]["metadata"]["labels"] = Json::object();
  EXPECT_FALSE(Answer(dry).contains("warnings"));
}

// The questions of a review leave time for the answer, however long Kubernetes waits.
TEST_F(AdmissionHandlerTest, AReviewHasOneDeadline) {
  const struct {
    const char* target;
    absl::Duration patience;
  } kCases[] = {{"/mutate", absl::Seconds(4)},
                {"/mutate?timeout=10s", absl::Seconds(4)},
                {"/mutate?timeout=30s", absl::Seconds(4)},
                {"/mutate?x=y&timeout=5s", absl::Milliseconds(2500)},
                {"/mutate?timeout=1s", absl::Milliseconds(500)},
                {"/mutate?timeout=-1s", absl::ZeroDuration()},
                {"/mutate?timeout=inf", absl::Seconds(4)},
                {"/mutate?timeout=soon", absl::Seconds(4)}};
  for (const auto& one : kCases) {
    Ask("POST", one.target, Review().dump());
    EXPECT_EQ(deadline_ - kReceived, one.patience) << one.target;
  }
}

TEST_F(AdmissionHandlerTest, OtherResourcesAndOperationsPass) {
  for (const char* const operation : {"UPDATE", "DELETE", "CONNECT"}) {
    Json review = Review();
    review["request"]["operation"] = operation;
    EXPECT_FALSE(Answer(review).contains("patch")) << operation;
  }
  Json review = Review();
  review["request"]["resource"]["group"] = "apps";
  EXPECT_FALSE(Answer(review).contains("patch"));
  review = Review();
  review["request"]["subResource"] = "binding";
  EXPECT_FALSE(Answer(review).contains("patch"));
}

}  // namespace
}  // namespace keyferry::injector::webhook
