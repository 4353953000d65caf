#include "injector/webhook/server_questions.h"

#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"

namespace keyferry::injector::webhook {
namespace {

constexpr absl::Duration kDefinitionHolds = absl::Seconds(10);
constexpr absl::Duration kFailureHolds = absl::Seconds(2);
constexpr absl::Duration kOutage = absl::Seconds(3);

// The questions that are asked for one MCP server, by its names in their order; or why none are.
template <typename Question>
using Asked = absl::StatusOr<std::vector<std::shared_ptr<const Question>>>;

// The answer of the first name that is not NOT_FOUND.
template <typename Answer>
absl::StatusOr<Answer> FirstFound(const Asked<typename SharedAnswers<Answer>::Question>& asked, absl::Time deadline) {
  if (!asked.ok()) return asked.status();
  absl::StatusOr<Answer> answer = absl::NotFoundError("there is no such MCP server");
  for (const auto& question : *asked) {
    answer = question->Await(deadline);
    if (!absl::IsNotFound(answer.status())) break;
  }
  return answer;
}

}  // namespace

ServerQuestions::ServerQuestions(std::unique_ptr<ServerCalls> calls, std::string org, std::function<absl::Time()> clock)
    : org_(std::move(org)),
      clock_(clock),
      definitions_({kDefinitionHolds, kFailureHolds}, clock),
      // Whoever sets a credential looks again at once.
      explanations_({absl::ZeroDuration(), absl::ZeroDuration()}, clock),
      calls_(std::move(calls)) {}

absl::StatusOr<ResolveTarget> ServerQuestions::Target(const std::string& mcp_server, const std::string& team) const {
  ExecOptions options;
  options.mcp_server = mcp_server;
  options.team = team;
  return TargetOf(options, org_);
}

absl::Status ServerQuestions::outage() {
  absl::MutexLock lock(&mutex_);
  return clock_() < outage_until_ ? outage_ : absl::OkStatus();
}

void ServerQuestions::Note(const absl::Status& status) {
  if (!absl::IsUnavailable(status) && !absl::IsDeadlineExceeded(status)) return;
  absl::MutexLock lock(&mutex_);
  outage_ = status;
  outage_until_ = clock_() + kOutage;
}

std::shared_ptr<const ServerQuestions::Definitions::Question> ServerQuestions::AskDefinition(const std::string& name) {
  return definitions_.Ask(name, [&](Definitions::Settle settle) {
    if (absl::Status status = outage(); !status.ok()) return settle(status);
    calls_->Define(name, [this, settle = std::move(settle)](absl::StatusOr<LaunchDefinition> answer) {
      Note(answer.status());
      settle(std::move(answer));
    });
  });
}

std::shared_ptr<const ServerQuestions::Explanations::Question> ServerQuestions::AskExplanation(
    const std::string& name, const std::string& team) {
  return explanations_.Ask(absl::StrCat(name, " ", team), [&](Explanations::Settle settle) {
    if (absl::Status status = outage(); !status.ok()) return settle(status);
    calls_->Explain(name, team, [this, settle = std::move(settle)](absl::StatusOr<std::vector<std::string>> answer) {
      Note(answer.status());
      settle(std::move(answer));
    });
  });
}

std::vector<absl::StatusOr<LaunchDefinition>> ServerQuestions::Define(const std::vector<AskedServer>& servers,
                                                                      absl::Time deadline) {
  std::vector<Asked<Definitions::Question>> all;
  for (const AskedServer& server : servers) {
    const absl::StatusOr<ResolveTarget> target = Target(server.mcp_server, server.team);
    if (!target.ok()) {
      all.emplace_back(target.status());
      continue;
    }
    std::vector<std::shared_ptr<const Definitions::Question>> asked;
    for (const std::string& name : target->mcp_servers) asked.push_back(AskDefinition(name));
    all.emplace_back(std::move(asked));
  }
  std::vector<absl::StatusOr<LaunchDefinition>> definitions;
  for (const auto& asked : all) definitions.push_back(FirstFound<LaunchDefinition>(asked, deadline));
  return definitions;
}

std::vector<std::string> ServerQuestions::Check(const std::vector<ChosenContainer>& containers, absl::Time deadline) {
  std::vector<Asked<Explanations::Question>> all;
  for (const ChosenContainer& container : containers) {
    const absl::StatusOr<ResolveTarget> target = Target(container.mcp_server, container.team);
    if (!target.ok()) {
      all.emplace_back(target.status());
      continue;
    }
    std::vector<std::shared_ptr<const Explanations::Question>> asked;
    for (const std::string& name : target->mcp_servers) asked.push_back(AskExplanation(name, target->team));
    all.emplace_back(std::move(asked));
  }
  std::vector<std::string> lines;
  for (size_t i = 0; i < containers.size(); ++i) {
    const std::string what = absl::StrCat("container ", containers[i].name, ": ");
    const auto answer = FirstFound<std::vector<std::string>>(all[i], deadline);
    if (!answer.ok()) {
      lines.push_back(absl::StrCat(what, "its bindings could not be checked: ", answer.status().message()));
      continue;
    }
    for (const std::string& line : *answer) lines.push_back(absl::StrCat(what, line));
  }
  return lines;
}

}  // namespace keyferry::injector::webhook
