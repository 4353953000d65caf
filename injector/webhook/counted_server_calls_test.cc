#include "injector/webhook/counted_server_calls.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace keyferry::injector::webhook {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Answers at once: a definition with its name as the command, and no explanation.
class AtOnce : public ServerCalls {
 public:
  void Define(const std::string& mcp_server, DefinitionDone done) override { done(LaunchDefinition{mcp_server, {}}); }
  void Explain(const std::string& mcp_server, const std::string& team, ExplanationDone done) override {
    done(absl::UnavailableError(mcp_server + " " + team));
  }
};

TEST(CountedServerCallsTest, PassesAnswersOnAndCountsThem) {
  WebhookMetrics metrics;
  CountedServerCalls calls(std::make_unique<AtOnce>(), &metrics);
  std::vector<std::string> answers;
  calls.Define("a", [&](absl::StatusOr<LaunchDefinition> answer) { answers.push_back(answer->command); });
  calls.Explain("b", "t", [&](absl::StatusOr<std::vector<std::string>> answer) {
    answers.push_back(std::string(answer.status().message()));
  });
  EXPECT_THAT(answers, ElementsAre("a", "b t"));
  metrics::Exposition out;
  metrics.WriteTo({}, &out);
  const std::string text = out.Take();
  EXPECT_THAT(text, HasSubstr("{question=\"definition\",outcome=\"answered\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("{question=\"definition\",outcome=\"unanswered\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("{question=\"bindings\",outcome=\"unanswered\"} 1\n"));
}

}  // namespace
}  // namespace keyferry::injector::webhook
