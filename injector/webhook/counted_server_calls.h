#ifndef KEYFERRY_INJECTOR_WEBHOOK_COUNTED_SERVER_CALLS_H_
#define KEYFERRY_INJECTOR_WEBHOOK_COUNTED_SERVER_CALLS_H_

#include <memory>
#include <string>
#include <utility>

#include "injector/webhook/server_calls.h"
#include "injector/webhook/webhook_metrics.h"

namespace keyferry::injector::webhook {

// Makes the calls by way of other ServerCalls and counts how they end.
class CountedServerCalls : public ServerCalls {
 public:
  // `metrics` outlives this.
  CountedServerCalls(std::unique_ptr<ServerCalls> calls, WebhookMetrics* metrics)
      : metrics_(metrics), calls_(std::move(calls)) {}

  void Define(const std::string& mcp_server, DefinitionDone done) override {
    calls_->Define(mcp_server, Counted(WebhookMetrics::kDefinition, std::move(done)));
  }
  void Explain(const std::string& mcp_server, const std::string& team, ExplanationDone done) override {
    calls_->Explain(mcp_server, team, Counted(WebhookMetrics::kBindings, std::move(done)));
  }

 private:
  template <typename Answer>
  std::function<void(absl::StatusOr<Answer>)> Counted(WebhookMetrics::Question question,
                                                      std::function<void(absl::StatusOr<Answer>)> done) {
    return [metrics = metrics_, question, done = std::move(done)](absl::StatusOr<Answer> answer) {
      metrics->CountQuestion(question, answer.status());
      done(std::move(answer));
    };
  }

  WebhookMetrics* const metrics_;
  const std::unique_ptr<ServerCalls> calls_;
};

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_COUNTED_SERVER_CALLS_H_
