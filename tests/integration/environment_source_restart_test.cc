// The injector's source of environments with a keyferryd that is killed and started again, and what `keyferry` shows of
// it.
#include <signal.h>
#include <stdlib.h>

#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "gtest/gtest.h"
#include "injector/source/environment_source.h"
#include "keyferry/v1/credentials.grpc.pb.h"
#include "keyferry/v1/mcp_servers.grpc.pb.h"
#include "keyferry/v1/processes.grpc.pb.h"
#include "tests/harness/child_process.h"
#include "tests/harness/dev_server.h"
#include "tests/integration/recording_listener.h"

namespace keyferry::testing {
namespace {

using injector::EnvironmentSource;

constexpr char kToken[] = "orgs/dev/credentials/TOKEN";

class EnvironmentSourceRestartTest : public ::testing::Test {
 protected:
  EnvironmentSourceRestartTest() : directory_(MakeTestDirectory("source")), server_(DevServer::Start(directory_)) {
    connection_ = server_->Connect();
    v1::CreateCredentialRequest create;
    create.set_parent("orgs/dev");
    create.set_credential_id("TOKEN");
    create.set_value("one");
    Must([&](auto* context) {
      v1::Credential answer;
      return v1::CredentialService::NewStub(connection_->channel())->CreateCredential(context, create, &answer);
    });
    v1::ApplyMcpServerRequest apply;
    apply.mutable_mcp_server()->set_name("orgs/dev/mcpServers/tool");
    apply.mutable_mcp_server()->set_transport(v1::MCP_TRANSPORT_STDIO);
    apply.mutable_mcp_server()->set_command("true");
    v1::EnvBinding* const binding = apply.mutable_mcp_server()->add_env();
    binding->set_variable("TOKEN");
    binding->set_org_secret("TOKEN");
    Must([&](auto* context) {
      v1::ApplyMcpServerResponse answer;
      return v1::McpServerService::NewStub(connection_->channel())->ApplyMcpServer(context, apply, &answer);
    });
    Open();
  }

  template <typename Call>
  void Must(Call call) {
    client::CallPolicy policy;
    policy.idempotent = true;
    const auto error = connection_->Call(policy, [&](grpc::ClientContext* context) { return call(context); });
    ASSERT_FALSE(error.has_value()) << error->OneLine();
  }
  void Open(absl::Duration silence = absl::Seconds(60)) {
    injector::ExecOptions exec;
    exec.mcp_server = "tool";
    exec.connection = connection_->options();
    const auto access = injector::ServerAccess::Load(exec, [](const char*) -> const char* { return nullptr; });
    ASSERT_TRUE(access.ok()) << access.status();
    EnvironmentSource::Options options;
    options.debounce = absl::Milliseconds(1);
    options.silence = silence;
    options.unreachable = {absl::Milliseconds(20), absl::Milliseconds(200)};
    v1::ProcessInfo process;
    process.set_process_id("supervised");
    injector::ResolvedEnvironment first;
    injector::Failure failure;
    source_ = EnvironmentSource::Open(*access, process, options, &first, &failure);
    ASSERT_NE(source_, nullptr) << failure.message;
    EXPECT_EQ(InWords(first), "TOKEN=v1");
    revision_ = first.revision;
    source_->Start(&listener_);
  }
  void Rotate() {
    v1::RotateCredentialRequest rotate;
    rotate.set_name(kToken);
    rotate.set_value("another");
    Must([&](auto* context) {
      v1::Credential answer;
      return v1::CredentialService::NewStub(connection_->channel())->RotateCredential(context, rotate, &answer);
    });
  }
  // "PID=vVERSION" of the one process that holds the credential.
  std::string Held() {
    v1::GetCredentialRolloutRequest request;
    request.set_name(kToken);
    v1::CredentialRollout answer;
    Must([&](auto* context) {
      return v1::ProcessService::NewStub(connection_->channel())->GetCredentialRollout(context, request, &answer);
    });
    if (answer.processes_size() != 1) return absl::StrCat(answer.processes_size(), " processes");
    return absl::StrCat(answer.processes(0).process().info().pid(), "=v", answer.processes(0).held_version());
  }
  void AwaitHeld(const std::string& expected) {
    const absl::Time deadline = absl::Now() + absl::Seconds(30);
    while (Held() != expected && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(5));
    EXPECT_EQ(Held(), expected);
  }
  void Restart() {
    server_ = DevServer::Start(directory_, server_->address());
    connection_ = server_->Connect();
  }

  const std::string directory_;
  std::unique_ptr<DevServer> server_;
  std::unique_ptr<client::Connection> connection_;
  RecordingListener listener_;
  std::unique_ptr<EnvironmentSource> source_;
  int64_t revision_ = 0;
};

TEST_F(EnvironmentSourceRestartTest, GoesOnWithoutTellingTheSameAgain) {
  source_->Running(revision_, 41);
  AwaitHeld("41=v1");
  server_->Kill();
  std::string told = listener_.Next();
  EXPECT_TRUE(absl::StrContains(told, "server unreachable (connection refused)")) << told;
  Restart();
  EXPECT_EQ(Held(), "41=v1") << "the audit log knows";
  EXPECT_EQ(listener_.Next(), "problem the server answers again");
  Rotate();
  EXPECT_EQ(listener_.Next(), "environment TOKEN=v2") << "and not version 1 again";
  EXPECT_EQ(Held(), "41=v1");
  source_->Running(listener_.revision(), 42);
  AwaitHeld("42=v2");
}

TEST_F(EnvironmentSourceRestartTest, ConfirmsAfterwardsWhatCameToRunMeanwhile) {
  source_->Running(revision_, 41);
  AwaitHeld("41=v1");
  Rotate();
  EXPECT_EQ(listener_.Next(), "environment TOKEN=v2");
  server_->Kill();
  EXPECT_TRUE(absl::StrContains(listener_.Next(), "server unreachable"));
  source_->Running(listener_.revision(), 42);
  Restart();
  EXPECT_EQ(listener_.Next(), "problem the server answers again");
  AwaitHeld("42=v2");
  EXPECT_EQ(listener_.Count(), 0);
}

TEST_F(EnvironmentSourceRestartTest, LeavesAStreamThatHasGoneSilent) {
  source_.reset();
  Open(/*silence=*/absl::Milliseconds(500));
  ASSERT_EQ(kill(server_->pid(), SIGSTOP), 0);
  EXPECT_EQ(listener_.Next(), "problem the server has gone silent; what runs keeps what it has");
  EXPECT_EQ(listener_.AwaitStandings("unknown "), "unknown ");
  ASSERT_EQ(kill(server_->pid(), SIGCONT), 0);
  Rotate();
  EXPECT_EQ(listener_.Next(), "problem the server answers again");
  EXPECT_EQ(listener_.Next(), "environment TOKEN=v2");
  EXPECT_EQ(listener_.AwaitStandings("unknown current "), "unknown current ");
}

TEST_F(EnvironmentSourceRestartTest, TheCommandLineFollowsARotationToItsEnd) {
  source_->Running(revision_, 41);
  AwaitHeld("41=v1");
  Rotate();
  EXPECT_EQ(listener_.Next(), "environment TOKEN=v2");
  const client::ConnectionOptions& options = connection_->options();
  const auto rollout = ChildProcess::Start(
      {getenv("KEYFERRY"), "credential", "rollout", "TOKEN", "--watch", "-o", "json", "--address", options.address,
       "--ca-file", options.ca_file, "--token-file", options.token_file, "--org", options.org},
      /*stderr_path=*/"");
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  const std::string before = rollout->ReadLine(deadline).value_or("");
  EXPECT_TRUE(absl::StrContains(before, "OUTDATED")) << before;
  source_->Running(listener_.revision(), 42);
  const std::string after = rollout->ReadLine(deadline).value_or("");
  EXPECT_TRUE(absl::StrContains(after, "CURRENT")) << after;
  EXPECT_FALSE(absl::StrContains(after, "OUTDATED")) << after;
  EXPECT_EQ(rollout->Wait(), 0);
}

}  // namespace
}  // namespace keyferry::testing
