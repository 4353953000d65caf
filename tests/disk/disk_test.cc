// A day's worth of mixed operations on a real keyferryd; then nothing that was stored is readable in any file of its
// data directory, and no value or token is in its log. The files of DIR/dev are searched as well: only dev/admin.token
// holds a secret by design, the token of the admin whom `--dev` makes.

#include <filesystem>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "gtest/gtest.h"
#include "keyferry/v1/credentials.grpc.pb.h"
#include "keyferry/v1/directory.grpc.pb.h"
#include "keyferry/v1/mcp_servers.grpc.pb.h"
#include "keyferry/v1/resolution.grpc.pb.h"
#include "keyferry/v1/sessions.grpc.pb.h"
#include "keyferry/v1/tokens.grpc.pb.h"
#include "tests/disk/needles.h"
#include "tests/harness/dev_server.h"

namespace keyferry::testing {
namespace {

constexpr uint64_t kSeed = 20260119;
constexpr int kUsers = 12;
constexpr int kTeams = 4;
constexpr int kOperations = 4000;

// Runs calls as the admin of `dev` and remembers everything that it stores.
class Operator {
 public:
  Operator(const DevServer& server, uint64_t seed)
      : connection_(server.Connect()),
        credentials_(v1::CredentialService::NewStub(connection_->channel())),
        servers_(v1::McpServerService::NewStub(connection_->channel())),
        directory_(v1::DirectoryService::NewStub(connection_->channel())),
        tokens_(v1::TokenService::NewStub(connection_->channel())),
        resolution_(v1::ResolutionService::NewStub(connection_->channel())),
        sessions_(v1::SessionService::NewStub(connection_->channel())),
        random_(seed) {}

  // Texts that must be in no file, and those of them that must be in no log either.
  Needles stored;
  Needles secrets;
  int done = 0;

  void MakePeople() {
    for (int i = 0; i < kUsers; ++i) {
      v1::CreateUserRequest request;
      request.set_parent("orgs/dev");
      request.set_user_id(Stored(absl::StrCat("user-", Id())));
      request.mutable_user()->set_role(v1::ORG_ROLE_MEMBER);
      request.mutable_user()->set_display_name(Stored(absl::StrCat("Display ", Id())));
      v1::User user;
      Run([&](auto* context) { return directory_->CreateUser(context, request, &user); });
      users_.push_back(user.name());
      MakeToken(user.name());
    }
    for (int i = 0; i < kTeams; ++i) {
      v1::CreateTeamRequest request;
      request.set_parent("orgs/dev");
      request.set_team_id(Stored(absl::StrCat("team-", Id())));
      v1::Team team;
      Run([&](auto* context) { return directory_->CreateTeam(context, request, &team); });
      v1::SetTeamMemberRequest member;
      member.mutable_member()->set_name(absl::StrCat(team.name(), "/members/admin"));
      member.mutable_member()->set_role(v1::TEAM_ROLE_OWNER);
      v1::TeamMember answer;
      Run([&](auto* context) { return directory_->SetTeamMember(context, member, &answer); });
      parents_.push_back(team.name());
    }
    parents_.push_back("orgs/dev");
    parents_.push_back("orgs/dev/users/admin");
  }

  void DoOne() {
    const uint64_t dice = random_() % 100;
    if (names_.empty() || dice < 45) return CreateCredential();
    if (dice < 70) return RotateCredential();
    if (dice < 80) return DeleteCredential();
    if (dice < 88) return UpdateDescription();
    if (dice < 94) return ApplyAndResolve();
    if (dice < 98) return MakeToken(users_[random_() % users_.size()]);
    RotateDataKey();
  }

 private:
  template <typename Attempt>
  void Run(Attempt attempt) {
    grpc::Status status;
    // A rewrap in the background writes the records that a call depends on, and ABORTED means "try again".
    for (int tries = 0; tries < 20; ++tries) {
      grpc::ClientContext context;
      status = attempt(&context);
      if (status.error_code() != grpc::StatusCode::ABORTED) break;
    }
    ASSERT_TRUE(status.ok()) << status.error_code() << " " << status.error_message();
    ++done;
  }

  std::string Id() { return absl::StrCat(absl::Hex(random_(), absl::kZeroPad16), absl::Hex(random_() & 0xffff)); }
  std::string Stored(std::string text) {
    stored.Add(text);
    return text;
  }
  std::string Value() {
    std::string value = absl::StrCat("value-", Id(), std::string(random_() % 400, 'z'), Id());
    secrets.Add(value.substr(0, 24));
    return Stored(std::move(value));
  }
  std::string AnyName() { return names_[random_() % names_.size()]; }

  void CreateCredential() {
    v1::CreateCredentialRequest request;
    request.set_parent(parents_[random_() % parents_.size()]);
    request.set_credential_id(Stored(absl::StrCat("NAME_", Id())));
    request.mutable_credential()->set_description(Stored(absl::StrCat("what it is for ", Id())));
    request.set_value(Value());
    v1::Credential credential;
    Run([&](auto* context) { return credentials_->CreateCredential(context, request, &credential); });
    names_.push_back(credential.name());
  }

  void RotateCredential() {
    v1::RotateCredentialRequest request;
    request.set_name(AnyName());
    request.set_value(Value());
    if (random_() % 2 == 0) request.mutable_grace()->set_seconds(0);
    v1::Credential credential;
    Run([&](auto* context) { return credentials_->RotateCredential(context, request, &credential); });
  }

  void DeleteCredential() {
    const size_t index = random_() % names_.size();
    v1::DeleteCredentialRequest request;
    request.set_name(names_[index]);
    google::protobuf::Empty empty;
    Run([&](auto* context) { return credentials_->DeleteCredential(context, request, &empty); });
    names_.erase(names_.begin() + static_cast<ptrdiff_t>(index));
  }

  void UpdateDescription() {
    v1::UpdateCredentialRequest request;
    request.mutable_credential()->set_name(AnyName());
    request.mutable_credential()->set_description(Stored(absl::StrCat("another description ", Id())));
    request.mutable_update_mask()->add_paths("description");
    v1::Credential credential;
    Run([&](auto* context) { return credentials_->UpdateCredential(context, request, &credential); });
  }

  void ApplyAndResolve() {
    v1::ApplyMcpServerRequest request;
    v1::McpServer& server = *request.mutable_mcp_server();
    server.set_name(absl::StrCat("orgs/dev/mcpServers/", Stored(absl::StrCat("server-", Id()))));
    server.set_transport(v1::MCP_TRANSPORT_STDIO);
    server.set_command(Stored(absl::StrCat("command-", Id())));
    server.add_args(Stored(absl::StrCat("--argument=", Id())));
    v1::EnvBinding& literal = *server.add_env();
    literal.set_variable(Stored(absl::StrCat("LITERAL_", Id())));
    literal.set_static_(Value());
    v1::EnvBinding& bound = *server.add_env();
    bound.set_variable(Stored(absl::StrCat("BOUND_", Id())));
    const std::string name = AnyName();
    bound.set_org_secret(name.substr(name.rfind('/') + 1));
    bound.set_optional(true);
    v1::ApplyMcpServerResponse applied;
    Run([&](auto* context) { return servers_->ApplyMcpServer(context, request, &applied); });
    v1::ResolveRequest resolve;
    resolve.set_mcp_server(server.name());
    v1::ResolveResponse response;
    Run([&](auto* context) { return resolution_->Resolve(context, resolve, &response); });
    MakeSession(server.name());
  }

  void MakeSession(const std::string& mcp_server) {
    v1::CreateSessionRequest request;
    request.set_parent("orgs/dev");
    request.mutable_session()->set_user("orgs/dev/users/admin");
    request.mutable_session()->add_mcp_servers(mcp_server);
    v1::CreateSessionResponse response;
    Run([&](auto* context) { return sessions_->CreateSession(context, request, &response); });
    if (response.token().empty()) return;
    secrets.Add(Stored(response.token()));
    Stored(response.session().name().substr(std::string("orgs/dev/sessions/").size()));
  }

  void MakeToken(const std::string& principal) {
    v1::CreateTokenRequest request;
    request.set_parent(principal);
    request.set_display_name(Stored(absl::StrCat("token for ", Id())));
    v1::CreateTokenResponse response;
    Run([&](auto* context) { return tokens_->CreateToken(context, request, &response); });
    if (!response.token().empty()) secrets.Add(Stored(response.token()));
  }

  void RotateDataKey() {
    v1::RotateOrgDataKeyRequest request;
    request.set_name("orgs/dev");
    v1::OrgEncryption answer;
    Run([&](auto* context) { return directory_->RotateOrgDataKey(context, request, &answer); });
  }

  const std::unique_ptr<client::Connection> connection_;
  const std::unique_ptr<v1::CredentialService::Stub> credentials_;
  const std::unique_ptr<v1::McpServerService::Stub> servers_;
  const std::unique_ptr<v1::DirectoryService::Stub> directory_;
  const std::unique_ptr<v1::TokenService::Stub> tokens_;
  const std::unique_ptr<v1::ResolutionService::Stub> resolution_;
  const std::unique_ptr<v1::SessionService::Stub> sessions_;
  std::mt19937_64 random_;
  std::vector<std::string> users_;
  std::vector<std::string> parents_;
  std::vector<std::string> names_;
};

// Searches every file below the directory; answers how many bytes that was.
size_t ExpectNothingReadable(const std::string& directory, const Needles& needles) {
  size_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    EXPECT_EQ(needles.FindIn(entry.path().string()).size(), 0) << "in the name of " << entry.path();
    if (!entry.is_regular_file()) continue;
    const std::string content = ReadWholeFile(entry.path());
    bytes += content.size();
    const std::vector<std::string> found = needles.FindIn(content);
    EXPECT_TRUE(found.empty()) << entry.path() << " holds " << absl::StrJoin(found, "; ");
  }
  return bytes;
}

TEST(DiskTest, NothingThatWasStoredIsReadable) {
  std::cout << "seed " << kSeed << std::endl;
  const std::string data_dir = MakeTestDirectory("disk") + "/data";
  std::unique_ptr<DevServer> server = DevServer::Start(data_dir);
  Operator work(*server, kSeed);
  ASSERT_NO_FATAL_FAILURE(work.MakePeople());
  for (int i = 0; i < kOperations && !::testing::Test::HasFailure(); ++i) work.DoOne();
  ASSERT_FALSE(::testing::Test::HasFailure());

  std::cout << "while it runs: " << ExpectNothingReadable(data_dir, work.stored) << " bytes" << std::endl;
  ASSERT_EQ(server->Stop(), 0);
  const size_t bytes = ExpectNothingReadable(data_dir, work.stored);
  std::cout << "after it ended: " << bytes << " bytes; " << work.done << " calls, " << work.stored.size() << " texts"
            << std::endl;
  EXPECT_GT(bytes, work.stored.size() * 64) << "the store is too small to hold what was stored";
  EXPECT_GT(work.done, kOperations);

  const std::string log = ReadWholeFile(server->log_path());
  EXPECT_FALSE(log.empty());
  EXPECT_TRUE(work.secrets.FindIn(log).empty()) << "the log shows a secret";

  Needles admin_token;
  admin_token.Add(ReadWholeFile(data_dir + "/dev/admin.token").substr(0, 24));
  for (const auto& entry : std::filesystem::recursive_directory_iterator(data_dir)) {
    if (!entry.is_regular_file() || entry.path().filename() == "admin.token") continue;
    EXPECT_TRUE(admin_token.FindIn(ReadWholeFile(entry.path())).empty()) << entry.path();
  }
  EXPECT_TRUE(admin_token.FindIn(log).empty());
}

}  // namespace
}  // namespace keyferry::testing
