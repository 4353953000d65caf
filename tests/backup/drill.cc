#include "tests/backup/drill.h"

#include <cstdlib>
#include <filesystem>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"

namespace keyferry::testing {
namespace {

constexpr char kOrg[] = "orgs/dev";
constexpr absl::Duration kLongestRun = absl::Minutes(5);

std::string Program(const char* variable) {
  const char* const path = std::getenv(variable);
  return path == nullptr ? "" : path;
}

}  // namespace

Outcome RunProgram(const std::vector<std::string>& command) {
  const std::string err = MakeTestDirectory("run") + "/err";
  const auto process = ChildProcess::Start(command, err);
  Outcome outcome;
  while (const auto line = process->ReadLine(absl::Now() + kLongestRun)) absl::StrAppend(&outcome.out, *line, "\n");
  outcome.code = process->Wait();
  outcome.err = ReadWholeFile(err);
  return outcome;
}

Admin::Admin(std::unique_ptr<client::Connection> connection)
    : connection_(std::move(connection)),
      credentials_(v1::CredentialService::NewStub(connection_->channel())),
      servers_(v1::McpServerService::NewStub(connection_->channel())),
      resolution_(v1::ResolutionService::NewStub(connection_->channel())),
      tokens_(v1::TokenService::NewStub(connection_->channel())) {}

bool Admin::Create(const std::string& name, const std::string& value) {
  grpc::ClientContext context;
  v1::CreateCredentialRequest request;
  request.set_parent(kOrg);
  request.set_credential_id(name);
  request.set_value(value);
  v1::Credential credential;
  return credentials_->CreateCredential(&context, request, &credential).ok();
}

bool Admin::Delete(const std::string& name) {
  grpc::ClientContext context;
  v1::DeleteCredentialRequest request;
  request.set_name(absl::StrCat(kOrg, "/credentials/", name));
  google::protobuf::Empty empty;
  return credentials_->DeleteCredential(&context, request, &empty).ok();
}

bool Admin::Exists(const std::string& name) {
  grpc::ClientContext context;
  v1::GetCredentialRequest request;
  request.set_name(absl::StrCat(kOrg, "/credentials/", name));
  v1::Credential credential;
  const grpc::Status status = credentials_->GetCredential(&context, request, &credential);
  EXPECT_TRUE(status.ok() || status.error_code() == grpc::NOT_FOUND) << status.error_message();
  return status.ok();
}

std::string Admin::Resolve(const std::string& name) {
  v1::ApplyMcpServerRequest apply;
  v1::McpServer& server = *apply.mutable_mcp_server();
  server.set_name(absl::StrCat(kOrg, "/mcpServers/reader"));
  server.set_transport(v1::MCP_TRANSPORT_STDIO);
  server.set_command("reader");
  v1::EnvBinding& binding = *server.add_env();
  binding.set_variable(name);
  binding.set_org_secret(name);
  v1::ApplyMcpServerResponse applied;
  grpc::ClientContext apply_context;
  const grpc::Status status = servers_->ApplyMcpServer(&apply_context, apply, &applied);
  EXPECT_TRUE(status.ok()) << status.error_message();
  v1::ResolveRequest request;
  request.set_mcp_server(server.name());
  v1::ResolveResponse response;
  grpc::ClientContext context;
  if (!resolution_->Resolve(&context, request, &response).ok()) return "";
  return response.variables_size() == 1 ? response.variables(0).value() : "";
}

std::pair<std::string, std::string> Admin::MakeToken() {
  grpc::ClientContext context;
  v1::CreateTokenRequest request;
  request.set_parent(absl::StrCat(kOrg, "/users/admin"));
  request.set_display_name("of the drill");
  v1::CreateTokenResponse response;
  const grpc::Status status = tokens_->CreateToken(&context, request, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return {response.token(), response.metadata().name()};
}

bool Admin::Revoke(const std::string& token_name) {
  grpc::ClientContext context;
  v1::RevokeTokenRequest request;
  request.set_name(token_name);
  google::protobuf::Empty empty;
  return tokens_->RevokeToken(&context, request, &empty).ok();
}

grpc::StatusCode Admin::WhoAmI() {
  grpc::ClientContext context;
  v1::Caller caller;
  return tokens_->GetCaller(&context, v1::GetCallerRequest(), &caller).error_code();
}

Outcome Drill::Backup(const std::vector<std::string>& arguments) {
  std::vector<std::string> command = {Program("KEYFERRY"), "backup"};
  command.insert(command.end(), arguments.begin(), arguments.end());
  command.insert(command.end(), {"--data-dir", data_dir_});
  return RunProgram(command);
}

std::string Drill::MakeBackup() {
  const size_t before = Backups().size();
  const Outcome made = Backup({"create", "--to", backups_});
  EXPECT_EQ(made.code, 0) << made.err;
  const std::vector<std::string> after = Backups();
  EXPECT_EQ(after.size(), before + 1);
  for (const std::string& path : after) {
    if (made.out.find(path) != std::string::npos) return path;
  }
  ADD_FAILURE() << "the answer names no backup: " << made.out;
  return "";
}

std::vector<std::string> Drill::Backups() const {
  std::vector<std::string> paths;
  if (!std::filesystem::exists(backups_)) return paths;
  for (const auto& entry : std::filesystem::directory_iterator(backups_)) {
    if (entry.path().filename().string()[0] != '.') paths.push_back(entry.path().string());
  }
  return paths;
}

Outcome Drill::Keyferryd(const std::vector<std::string>& arguments) {
  std::vector<std::string> command = {Program("KEYFERRYD")};
  command.insert(command.end(), arguments.begin(), arguments.end());
  command.insert(command.end(), {"--key-provider-file", data_dir_ + "/dev/kek"});
  return RunProgram(command);
}

Outcome Drill::Restore(const std::string& backup, const std::string& tokens) {
  std::filesystem::remove_all(restored_dir_);
  std::filesystem::create_directory(restored_dir_);
  std::filesystem::permissions(restored_dir_, std::filesystem::perms::owner_all);
  std::filesystem::copy(data_dir_ + "/dev", restored_dir_ + "/dev", std::filesystem::copy_options::recursive);
  std::filesystem::permissions(restored_dir_ + "/dev", std::filesystem::perms::owner_all);
  return Keyferryd({"restore", "--from", backup, "--to", restored_dir_ + "/store", "--tokens", tokens});
}

}  // namespace keyferry::testing
