// ResolutionService.Watch and process records over real TLS.
#include <chrono>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "keyferry/v1/processes.pb.h"
#include "keyferry/v1/resolution.grpc.pb.h"
#include "keyferry/v1/tokens.pb.h"
#include "tests/integration/world.h"

namespace keyferry::testing {
namespace {

constexpr char kGithub[] = "orgs/acme/mcpServers/github";
constexpr char kBuilder[] = "orgs/acme/teams/eng/mcpServers/builder";

// One watch of a client that reads it to the end.
class Stream {
 public:
  Stream(World* world, const std::string& bearer, const v1::WatchRequest& request)
      : stub_(v1::ResolutionService::NewStub(world->channel())) {
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    context_.AddMetadata("authorization", bearer);
    reader_ = stub_->Watch(&context_, request);
  }
  ~Stream() { context_.TryCancel(); }

  // The next message: "GITHUB_TOKEN=v1 LEVEL=v0" (values are compared by version alone), "problem REASON", or
  // "end REASON". Heartbeats are left out.
  std::string Next() {
    v1::WatchResponse message;
    do {
      if (!reader_->Read(&message)) return "end " + DetailOf(reader_->Finish()).reason();
    } while (message.has_heartbeat());
    if (message.has_problem()) return "problem " + message.problem().reason();
    EXPECT_GT(message.environment().revision(), revision_);
    revision_ = message.environment().revision();
    process_ = message.environment().process();
    std::string text;
    for (const v1::ResolvedVariable& variable : message.environment().variables()) {
      absl::StrAppend(&text, text.empty() ? "" : " ", variable.variable(), "=v", variable.version());
    }
    return text;
  }
  int64_t revision() const { return revision_; }
  const std::string& process() const { return process_; }

 private:
  const std::unique_ptr<v1::ResolutionService::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::WatchResponse>> reader_;
  int64_t revision_ = 0;
  std::string process_;
};

v1::WatchRequest Request(const std::string& mcp_server, int64_t resume = 0) {
  v1::WatchRequest request;
  request.mutable_resolve()->set_mcp_server(mcp_server);
  request.set_resume_revision(resume);
  request.mutable_debounce()->set_nanos(1'000'000);
  return request;
}

class WatchTest : public ::testing::Test {
 protected:
  std::unique_ptr<Stream> Open(Who who, const v1::WatchRequest& request) {
    return std::make_unique<Stream>(&world_, world_.Bearer(who), request);
  }
  void Rotate(const std::string& name, Who who = Who::kAdmin) {
    world_.MustCall(who, "CredentialService.RotateCredential", absl::StrCat("name: '", name, "' value: 'next'"));
  }
  void SetTier(const std::string& tier) {
    world_.MustCall(Who::kAdmin, "DirectoryService.UpdateOrg",
                    absl::StrCat("org { name: 'orgs/acme' tier: ", tier, " }"));
  }

  // "v2 ID=v1 watching ID=v2": the newest version, and what each process holds.
  std::string Rollout() {
    v1::CredentialRollout answer;
    answer.ParseFromString(world_.MustCall(Who::kAdmin, "ProcessService.GetCredentialRollout",
                                           "name: 'orgs/acme/credentials/GITHUB_TOKEN'"));
    std::string text = absl::StrCat("v", answer.current_version());
    for (const v1::RolloutProcess& process : answer.processes()) {
      absl::StrAppend(&text, " ", process.process().info().process_id(), "=v", process.held_version(),
                      process.process().watching() ? " watching" : "");
    }
    return text;
  }

  World world_;
};

TEST_F(WatchTest, FollowsEveryChangeOfTheEnvironment) {
  auto watch = Open(Who::kMember, Request(kGithub));
  EXPECT_EQ(watch->Next(), "GITHUB_TOKEN=v1 LEVEL=v0");
  Rotate("orgs/acme/credentials/GITHUB_TOKEN");
  EXPECT_EQ(watch->Next(), "GITHUB_TOKEN=v2 LEVEL=v0");
  world_.MustCall(Who::kMember, "CredentialService.CreateCredential",
                  "parent: 'orgs/acme/users/mia' credential_id: 'GITHUB_TOKEN' value: 'mine'");
  EXPECT_EQ(watch->Next(), "GITHUB_TOKEN=v1 LEVEL=v0");
  world_.MustCall(Who::kMember, "CredentialService.DeleteCredential",
                  "name: 'orgs/acme/users/mia/credentials/GITHUB_TOKEN'");
  EXPECT_EQ(watch->Next(), "GITHUB_TOKEN=v2 LEVEL=v0");
  world_.MustCall(Who::kAdmin, "CredentialService.DeleteCredential", "name: 'orgs/acme/credentials/GITHUB_TOKEN'");
  EXPECT_EQ(watch->Next(), "problem MISSING_VARIABLES");
  world_.MustCall(Who::kAdmin, "McpServerService.ApplyMcpServer",
                  absl::StrCat("mcp_server { name: '", kGithub,
                               "' transport: MCP_TRANSPORT_STDIO command: 'run' env { variable: 'A' static: 'a' } }"));
  EXPECT_EQ(watch->Next(), "A=v0");
  world_.MustCall(Who::kAdmin, "McpServerService.DeleteMcpServer", absl::StrCat("name: '", kGithub, "'"));
  EXPECT_EQ(watch->Next(), "end NOT_FOUND");
}

TEST_F(WatchTest, ABurstIsOneUpdate) {
  v1::WatchRequest request = Request(kGithub);
  request.mutable_debounce()->set_seconds(3);
  auto watch = Open(Who::kAdmin, request);
  EXPECT_EQ(watch->Next(), "GITHUB_TOKEN=v1 LEVEL=v0");
  for (int i = 0; i < 5; ++i) Rotate("orgs/acme/credentials/GITHUB_TOKEN");
  EXPECT_EQ(watch->Next(), "GITHUB_TOKEN=v6 LEVEL=v0");
}

TEST_F(WatchTest, ARevokedTokenEndsItAndLeavesOthers) {
  v1::CreateTokenResponse created;
  created.ParseFromString(world_.MustCall(Who::kAdmin, "TokenService.CreateToken",
                                          "parent: 'orgs/acme/workloads/runner' ttl { seconds: 3600 }"));
  Stream revoked(&world_, absl::StrCat("Bearer ", created.token()), Request(kGithub));
  auto other = Open(Who::kWorkload, Request(kGithub));
  EXPECT_EQ(revoked.Next(), "GITHUB_TOKEN=v1 LEVEL=v0");
  EXPECT_EQ(other->Next(), "GITHUB_TOKEN=v1 LEVEL=v0");
  world_.MustCall(Who::kAdmin, "TokenService.RevokeToken", absl::StrCat("name: '", created.metadata().name(), "'"));
  EXPECT_EQ(revoked.Next(), "end TOKEN_UNKNOWN");
  Rotate("orgs/acme/credentials/GITHUB_TOKEN");
  EXPECT_EQ(other->Next(), "GITHUB_TOKEN=v2 LEVEL=v0");
  world_.MustCall(Who::kAdmin, "DirectoryService.UpdateWorkload",
                  "workload { name: 'orgs/acme/workloads/runner' mcp_servers: 'orgs/acme/mcpServers/spare' }");
  EXPECT_EQ(other->Next(), "end NOT_FOUND") << "the grant is gone";
}

TEST_F(WatchTest, ATokenThatExpiresEndsIt) {
  Stream watch(&world_, absl::StrCat("Bearer ", world_.NewToken("orgs/acme/users/mia", 600)), Request(kGithub));
  EXPECT_EQ(watch.Next(), "GITHUB_TOKEN=v1 LEVEL=v0");
  world_.Advance(absl::Seconds(600));
  EXPECT_EQ(watch.Next(), "end TOKEN_EXPIRED");
}

TEST_F(WatchTest, ADeletedUserEndsIt) {
  auto watch = Open(Who::kMember, Request(kGithub));
  EXPECT_EQ(watch->Next(), "GITHUB_TOKEN=v1 LEVEL=v0");
  world_.MustCall(Who::kAdmin, "DirectoryService.DeleteUser", "name: 'orgs/acme/users/mia'");
  EXPECT_EQ(watch->Next(), "end TOKEN_UNKNOWN");
}

TEST_F(WatchTest, FollowsTierAndMembership) {
  auto watch = Open(Who::kTeamMember, Request(kBuilder));
  EXPECT_EQ(watch->Next(), "A=v1");
  Rotate("orgs/acme/teams/eng/credentials/TEAM_KEY", Who::kOwner);
  EXPECT_EQ(watch->Next(), "A=v2");
  SetTier("TIER_FREE");
  EXPECT_EQ(watch->Next(), "problem SCOPE_SUSPENDED");
  SetTier("TIER_BUSINESS");
  EXPECT_EQ(watch->Next(), "A=v2");
  world_.MustCall(Who::kOwner, "DirectoryService.RemoveTeamMember", "name: 'orgs/acme/teams/eng/members/eli'");
  EXPECT_EQ(watch->Next(), "end NOT_FOUND");
}

TEST_F(WatchTest, ResumesWithoutSendingAgain) {
  auto watch = Open(Who::kAdmin, Request(kGithub));
  EXPECT_EQ(watch->Next(), "GITHUB_TOKEN=v1 LEVEL=v0");
  const int64_t revision = watch->revision();
  watch.reset();
  auto resumed = Open(Who::kAdmin, Request(kGithub, revision));
  // Another watch that begins later is served later: by its answer the first has been looked at.
  EXPECT_EQ(Open(Who::kAdmin, Request(kGithub))->Next(), "GITHUB_TOKEN=v1 LEVEL=v0");
  Rotate("orgs/acme/credentials/GITHUB_TOKEN");
  EXPECT_EQ(resumed->Next(), "GITHUB_TOKEN=v2 LEVEL=v0") << "and not version 1 again";
  EXPECT_EQ(Open(Who::kAdmin, Request(kGithub, revision))->Next(), "GITHUB_TOKEN=v2 LEVEL=v0");
}

TEST_F(WatchTest, ADrainEndsItAtOnce) {
  auto watch = Open(Who::kAdmin, Request(kGithub));
  EXPECT_EQ(watch->Next(), "GITHUB_TOKEN=v1 LEVEL=v0");
  world_.StopServer();
  EXPECT_EQ(watch->Next(), "end SERVER_DRAINING");
}

TEST_F(WatchTest, ARolloutFollowsTheProcessesThatWatch) {
  v1::WatchRequest request = Request(kGithub);
  request.mutable_resolve()->mutable_process()->set_process_id("watching");
  auto watch = Open(Who::kWorkload, request);
  EXPECT_EQ(watch->Next(), "GITHUB_TOKEN=v1 LEVEL=v0");
  const std::string launched = absl::StrCat("mcp_server: '", kGithub, "' process { process_id: 'launched' host: 'h' }");
  world_.MustCall(Who::kAdmin, "ResolutionService.Resolve", launched);
  EXPECT_EQ(Rollout(), "v1 launched=v1 watching=v1 watching");
  Rotate("orgs/acme/credentials/GITHUB_TOKEN");
  EXPECT_EQ(watch->Next(), "GITHUB_TOKEN=v2 LEVEL=v0");
  EXPECT_EQ(Rollout(), "v2 launched=v1 watching=v2 watching");
  world_.MustCall(Who::kAdmin, "ResolutionService.Resolve", launched);
  EXPECT_EQ(Rollout(), "v2 launched=v2 watching=v2 watching");
}

TEST_F(WatchTest, AProcessThatConfirmsMovesWhenItSaysSo) {
  v1::WatchRequest request = Request(kGithub);
  request.mutable_resolve()->mutable_process()->set_process_id("p");
  request.set_confirms(true);
  auto watch = Open(Who::kWorkload, request);
  EXPECT_EQ(watch->Next(), "GITHUB_TOKEN=v1 LEVEL=v0");
  EXPECT_EQ(Rollout(), "v1") << "it does not run yet";
  const auto confirm = [&](Who who, int64_t revision) {
    return world_.Call(who, "ProcessService.ConfirmEnvironment",
                       absl::StrCat("name: '", watch->process(), "' pid: 77 revision: ", revision));
  };
  const int64_t first = watch->revision();
  EXPECT_TRUE(confirm(Who::kWorkload, first).ok());
  EXPECT_EQ(Rollout(), "v1 p=v1 watching");
  Rotate("orgs/acme/credentials/GITHUB_TOKEN");
  EXPECT_EQ(watch->Next(), "GITHUB_TOKEN=v2 LEVEL=v0");
  EXPECT_EQ(Rollout(), "v2 p=v1 watching") << "still the old process";
  EXPECT_EQ(confirm(Who::kAdmin, watch->revision()).error_code(), grpc::NOT_FOUND);
  EXPECT_EQ(confirm(Who::kRival, watch->revision()).error_code(), grpc::NOT_FOUND);
  EXPECT_EQ(DetailOf(confirm(Who::kWorkload, watch->revision() + 1)).reason(), "REVISION_NOT_SENT");
  EXPECT_EQ(Rollout(), "v2 p=v1 watching");
  EXPECT_TRUE(confirm(Who::kWorkload, watch->revision()).ok());
  EXPECT_EQ(Rollout(), "v2 p=v2 watching");
  EXPECT_EQ(DetailOf(confirm(Who::kWorkload, first)).reason(), "REVISION_NOT_SENT") << "never back";

  // Whoever resumes says again what it holds.
  request.set_resume_revision(watch->revision());
  auto resumed = Open(Who::kWorkload, request);
  EXPECT_EQ(Open(Who::kAdmin, Request(kGithub))->Next(), "GITHUB_TOKEN=v2 LEVEL=v0") << "the one before was served";
  EXPECT_EQ(Rollout(), "v2 p=v2 watching");
  EXPECT_TRUE(confirm(Who::kWorkload, watch->revision()).ok());
}

}  // namespace
}  // namespace keyferry::testing
