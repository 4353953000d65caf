#ifndef KEYFERRY_INJECTOR_WEBHOOK_SERVER_QUESTIONS_H_
#define KEYFERRY_INJECTOR_WEBHOOK_SERVER_QUESTIONS_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "injector/exec/exec_options.h"
#include "injector/webhook/rewrite/annotations.h"
#include "injector/webhook/rewrite/launch_definition.h"
#include "injector/webhook/server_calls.h"
#include "injector/webhook/shared_answers.h"

namespace keyferry::injector::webhook {

// What the webhook asks keyferryd: how MCP servers are started, and which of their variables would have no value. The
// questions of a review are asked all at once, and what others ask already is not asked again. Definitions hold for 10
// seconds, so that the pods of one ReplicaSet ask once, and that there is none for 2. After a server that did not
// answer nothing is asked for 3 seconds, so that only the first reviews wait for it. Thread-safe.
class ServerQuestions {
 public:
  // `org` is that of MCP servers' ids; may be "".
  ServerQuestions(std::unique_ptr<ServerCalls> calls, std::string org, std::function<absl::Time()> clock);

  // As a DefinitionSource and a BindingCheck do, by `deadline`: what is not answered by then is DEADLINE_EXCEEDED. The
  // bindings are those of the webhook's identity, without a session.
  std::vector<absl::StatusOr<LaunchDefinition>> Define(const std::vector<AskedServer>& servers, absl::Time deadline);
  std::vector<std::string> Check(const std::vector<ChosenContainer>& containers, absl::Time deadline);

 private:
  using Definitions = SharedAnswers<LaunchDefinition>;
  using Explanations = SharedAnswers<std::vector<std::string>>;

  absl::StatusOr<ResolveTarget> Target(const std::string& mcp_server, const std::string& team) const;
  std::shared_ptr<const Definitions::Question> AskDefinition(const std::string& name);
  std::shared_ptr<const Explanations::Question> AskExplanation(const std::string& name, const std::string& team);
  // Why nothing is asked now; OK if it is.
  absl::Status outage() ABSL_LOCKS_EXCLUDED(mutex_);
  void Note(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);

  const std::string org_;
  const std::function<absl::Time()> clock_;
  absl::Mutex mutex_;
  absl::Status outage_ ABSL_GUARDED_BY(mutex_);
  absl::Time outage_until_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  Definitions definitions_;
  Explanations explanations_;
  // Last: what is under way uses the rest.
  const std::unique_ptr<ServerCalls> calls_;
};

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_SERVER_QUESTIONS_H_
