#include <stdio.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/connection.h"
#include "injector/agent/agent_options.h"
#include "injector/agent_command.h"
#include "injector/exec/exec_command.h"
#include "injector/exec/exec_options.h"
#include "injector/exec/failure.h"
#include "injector/exec/process.h"
#include "injector/supervise/standard_streams.h"
#include "injector/supervise_command.h"
#include "injector/webhook/webhook_command.h"
#include "injector/webhook/webhook_options.h"

namespace keyferry::injector {
namespace {

constexpr char kHelp[] = R"(keyferry-injector gives MCP servers their credentials at launch.

Usage: keyferry-injector COMMAND [OPTIONS]

Commands:
  exec     Run a command with the environment of one MCP server
  agent    Serve the containers of a pod, each over a socket of its own
  webhook  Give pods of Kubernetes the agent and the launcher when they are created

Options:
  -h, --help   Print this help; `keyferry-injector COMMAND --help` says all about a command
  --version    Print the version
)";

int Fail(const Failure& failure) {
  fprintf(stderr, "keyferry-injector: %s\n", failure.message.c_str());
  return failure.exit_code;
}

int Exec(const std::vector<std::string>& arguments, const InheritedState& state) {
  const absl::StatusOr<ExecOptions> options = ParseExecOptions(arguments);
  if (!options.ok()) {
    Failure failure = UsageFailure(options.status());
    failure.message += " (`keyferry-injector exec --help` lists the options)";
    return Fail(failure);
  }
  if (options->help) {
    fputs(ExecHelp().c_str(), stdout);
    return 0;
  }
  if (!options->supervise.has_value()) return Fail(RunExec(*options, state));
  const Failure result = RunSupervise(*options, state);
  return result.message.empty() ? result.exit_code : Fail(result);
}

int Agent(const std::vector<std::string>& arguments, const InheritedState& state) {
  const absl::StatusOr<agent::AgentOptions> options = agent::ParseAgentOptions(arguments);
  if (!options.ok()) {
    Failure failure = UsageFailure(options.status());
    failure.message += " (`keyferry-injector agent --help` lists the options)";
    return Fail(failure);
  }
  if (options->help) {
    fputs(agent::AgentHelp().c_str(), stdout);
    return 0;
  }
  const Failure result = RunAgent(*options, state);
  if (result.exit_code != 0) return Fail(result);
  if (!result.message.empty()) printf("%s\n", result.message.c_str());
  return 0;
}

int Webhook(const std::vector<std::string>& arguments) {
  const absl::StatusOr<webhook::WebhookOptions> options = webhook::ParseWebhookOptions(arguments);
  if (!options.ok()) {
    Failure failure = UsageFailure(options.status());
    failure.message += " (`keyferry-injector webhook --help` lists the options)";
    return Fail(failure);
  }
  if (options->help) {
    fputs(webhook::WebhookHelp().c_str(), stdout);
    return 0;
  }
  const Failure result = webhook::RunWebhook(*options);
  return result.message.empty() ? result.exit_code : Fail(result);
}

int Run(const std::vector<std::string>& arguments, const InheritedState& state) {
  const std::string command = arguments.empty() ? "" : arguments[0];
  if (command == "exec") return Exec({arguments.begin() + 1, arguments.end()}, state);
  if (command == "agent") return Agent({arguments.begin() + 1, arguments.end()}, state);
  if (command == "webhook") return Webhook({arguments.begin() + 1, arguments.end()});
  if (command == "--help" || command == "-h" || command == "help") {
    fputs(kHelp, stdout);
    return 0;
  }
  if (command == "--version") {
    printf("keyferry-injector %s\n", client::kClientVersion);
    return 0;
  }
  const std::string problem = command.empty() ? "a command is missing" : "unknown command \"" + command + "\"";
  return Fail({kUsage, problem + "; `keyferry-injector --help` lists the commands"});
}

}  // namespace
}  // namespace keyferry::injector

int main(int argc, char** argv) {
  const keyferry::injector::InheritedState state = keyferry::injector::InheritedState::Capture();
  keyferry::injector::HardenProcess();
  keyferry::injector::FillStandardDescriptors();
  return keyferry::injector::Run(std::vector<std::string>(argv + 1, argv + argc), state);
}
