#include "client/cli/test_server.h"

#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/server_context.h>
#include <sys/stat.h>

#include <fstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/any.pb.h"

namespace keyferry::client::cli {
namespace {

// A serialized google.rpc.Status that holds nothing but the detail.
std::string Trailer(const v1::ErrorDetail& detail) {
  google::protobuf::Any any;
  any.PackFrom(detail);
  const std::string bytes = any.SerializeAsString();
  std::string text = "\x1a";
  size_t size = bytes.size();
  for (; size >= 0x80; size >>= 7) text.push_back(static_cast<char>(0x80 | (size & 0x7f)));
  text.push_back(static_cast<char>(size));
  return text + bytes;
}

}  // namespace

class TestServer::Services : public v1::CredentialService::Service,
                             public v1::DirectoryService::Service,
                             public v1::McpServerService::Service,
                             public v1::ProcessService::Service,
                             public v1::ResolutionService::Service,
                             public v1::SessionService::Service,
                             public v1::TokenService::Service {
 public:
  using Context = grpc::ServerContext;
  using Status = grpc::Status;
  using Empty = google::protobuf::Empty;

  void Fail(Status status, int times) {
    absl::MutexLock lock(&mutex_);
    failure_ = std::move(status);
    failures_left_ = times;
  }
  std::vector<std::string> Requests() const {
    absl::MutexLock lock(&mutex_);
    return requests_;
  }
  std::string Value(const std::string& name) const {
    absl::MutexLock lock(&mutex_);
    const auto found = values_.find(name);
    return found == values_.end() ? "(none)" : found->second;
  }
  std::string Metadata(const std::string& key) const {
    absl::MutexLock lock(&mutex_);
    const auto found = metadata_.find(key);
    return found == metadata_.end() ? "(none)" : found->second;
  }
  void NeedConnection(const std::string& variable, const std::string& provider) {
    absl::MutexLock lock(&mutex_);
    oauth_variable_ = variable;
    oauth_provider_ = provider;
  }
  // As of any service of this class.
  TestOauthServices::Record Record() {
    return [this](Context* context, const google::protobuf::Message& request) { return Seen(context, request); };
  }
  void AddCredentials(int count) {
    for (int i = 0; i < count; ++i) StoreCredential(absl::StrCat("orgs/dev/credentials/C", i), 1);
  }

  Status CreateCredential(Context* context, const v1::CreateCredentialRequest* request,
                          v1::Credential* response) override {
    Status status = Seen(context, *request);
    if (!status.ok()) return status;
    const std::string name = absl::StrCat(request->parent(), "/credentials/", request->credential_id());
    Keep(name, request->value());
    *response = StoreCredential(name, 1);
    response->set_description(request->credential().description());
    return Status::OK;
  }
  Status RotateCredential(Context* context, const v1::RotateCredentialRequest* request,
                          v1::Credential* response) override {
    Status status = Seen(context, *request);
    if (!status.ok()) return status;
    Keep(request->name(), request->value());
    *response = StoreCredential(request->name(), 2);
    if (absl::EndsWith(request->name(), "/OVERDUE") && !request->has_rotate_by() && !request->remove_rotate_by()) {
      response->mutable_rotate_by()->set_seconds(1801353600);
      response->set_rotation_overdue(true);
    }
    return Status::OK;
  }
  Status BatchRotateCredentials(Context* context, const v1::BatchRotateCredentialsRequest* request,
                                v1::BatchRotateCredentialsResponse* response) override {
    Status status = Seen(context, *request);
    if (!status.ok()) return status;
    for (const v1::RotateCredentialRequest& one : request->requests()) {
      Keep(one.name(), one.value());
      *response->add_credentials() = StoreCredential(one.name(), 2);
    }
    return Status::OK;
  }
  Status ImportCredentials(Context* context, const v1::ImportCredentialsRequest* request,
                           v1::ImportCredentialsResponse* response) override {
    Status status = Seen(context, *request);
    if (!status.ok()) return status;
    for (const v1::ImportEntry& entry : request->entries()) {
      v1::ImportResult* result = response->add_results();
      result->set_name(absl::StrCat(request->parent(), "/credentials/", entry.credential_id()));
      result->set_action(v1::IMPORT_ACTION_CREATE);
      result->set_version(1);
      Keep(result->name(), entry.value());
    }
    return Status::OK;
  }
  Status GetCredential(Context* context, const v1::GetCredentialRequest* request, v1::Credential* response) override {
    response->set_name(request->name());
    return Seen(context, *request);
  }
  Status UpdateCredential(Context* context, const v1::UpdateCredentialRequest* request,
                          v1::Credential* response) override {
    *response = request->credential();
    return Seen(context, *request);
  }
  Status RollbackCredential(Context* context, const v1::RollbackCredentialRequest* request,
                            v1::Credential* response) override {
    response->set_name(request->name());
    return Seen(context, *request);
  }
  Status DeleteCredential(Context* context, const v1::DeleteCredentialRequest* request, Empty*) override {
    return Seen(context, *request);
  }
  // Two at a time, whatever the page size.
  Status ListCredentials(Context* context, const v1::ListCredentialsRequest* request,
                         v1::ListCredentialsResponse* response) override {
    Status status = Seen(context, *request);
    absl::MutexLock lock(&mutex_);
    auto next = credentials_.upper_bound(request->page_token());
    for (int i = 0; i < 2 && next != credentials_.end(); ++i, ++next) *response->add_credentials() = next->second;
    if (next != credentials_.end()) response->set_next_page_token(std::prev(next)->first);
    return status;
  }
  Status ListMyCredentials(Context* context, const v1::ListMyCredentialsRequest* request,
                           v1::ListMyCredentialsResponse* response) override {
    v1::MyCredential* mine = response->add_my_credentials();
    mine->set_credential_id("GITHUB_TOKEN");
    mine->set_status(v1::MY_CREDENTIAL_STATUS_NOT_SET);
    if (absl::MutexLock lock(&mutex_); !oauth_variable_.empty()) {
      mine = response->add_my_credentials();
      mine->set_credential_id(oauth_variable_);
      mine->set_status(v1::MY_CREDENTIAL_STATUS_CONNECT_NEEDED);
      mine->set_oauth_provider("orgs/dev/oauthProviders/" + oauth_provider_);
    }
    return Seen(context, *request);
  }

  Status GetOrg(Context* context, const v1::GetOrgRequest* request, v1::Org* response) override {
    response->set_name(request->name());
    response->set_etag("etag-7");
    response->add_allowed_variable_names("NODE_OPTIONS");
    return Seen(context, *request);
  }
  Status DeleteOrg(Context* context, const v1::DeleteOrgRequest* request, Empty*) override {
    return Seen(context, *request);
  }
  Status UpdateOrg(Context* context, const v1::UpdateOrgRequest* request, v1::Org* response) override {
    *response = request->org();
    return Seen(context, *request);
  }
  Status CreateUser(Context* context, const v1::CreateUserRequest* request, v1::User* response) override {
    response->set_name(absl::StrCat(request->parent(), "/users/", request->user_id()));
    response->set_role(request->user().role());
    return Seen(context, *request);
  }
  Status DeleteUser(Context* context, const v1::DeleteUserRequest* request, Empty*) override {
    return Seen(context, *request);
  }
  Status SetTeamMember(Context* context, const v1::SetTeamMemberRequest* request, v1::TeamMember* response) override {
    *response = request->member();
    return Seen(context, *request);
  }
  Status ListTeams(Context* context, const v1::ListTeamsRequest* request, v1::ListTeamsResponse* response) override {
    response->add_teams()->set_name(request->parent() + "/teams/eng");
    return Seen(context, *request);
  }
  Status ListMcpServers(Context* context, const v1::ListMcpServersRequest* request,
                        v1::ListMcpServersResponse* response) override {
    v1::McpServer* server = response->add_mcp_servers();
    server->set_name(request->parent() + "/mcpServers/github");
    server->add_env()->set_org_secret("GITHUB_TOKEN");
    return Seen(context, *request);
  }
  Status ListWorkloads(Context* context, const v1::ListWorkloadsRequest* request,
                       v1::ListWorkloadsResponse* response) override {
    v1::Workload* workload = response->add_workloads();
    workload->set_name("orgs/dev/workloads/w");
    workload->add_mcp_servers("orgs/dev/mcpServers/a");
    workload->add_identities()->set_spiffe_id("spiffe://prod/a");
    workload->set_can_use_sessions(true);
    return Seen(context, *request);
  }
  Status UpdateWorkload(Context* context, const v1::UpdateWorkloadRequest* request, v1::Workload* response) override {
    *response = request->workload();
    return Seen(context, *request);
  }

  // Commands ask for it besides what they do, so it is not among the requests.
  Status GetMcpServer(Context*, const v1::GetMcpServerRequest* request, v1::McpServer* response) override {
    response->set_name(request->name());
    const bool absent = absl::EndsWith(request->name(), "/nope");
    return absent ? Status(grpc::StatusCode::NOT_FOUND, request->name() + ": not found") : Status::OK;
  }
  Status ApplyMcpServer(Context* context, const v1::ApplyMcpServerRequest* request,
                        v1::ApplyMcpServerResponse* response) override {
    response->mutable_mcp_server()->set_name(request->mcp_server().name());
    response->set_created(true);
    response->add_missing_credentials("GITHUB_TOKEN");
    v1::MissingFor* missing = response->add_missing_for();
    missing->set_user("orgs/dev/users/ada");
    missing->add_credentials("GITHUB_TOKEN");
    missing->add_credentials("OTHER");
    for (const v1::EnvBinding& binding : request->mcp_server().env()) {
      const std::string listed = "oauthProviders/" + binding.oauth();
      if (binding.oauth() == "own") missing->add_credentials(listed);
      if (binding.oauth() == "absent" || binding.oauth() == "pinned") response->add_missing_credentials(listed);
    }
    return Seen(context, *request);
  }
  Status Explain(Context* context, const v1::ExplainRequest* request, v1::ExplainResponse* response) override {
    v1::VariableExplanation* variable = response->add_variables();
    variable->set_variable("GITHUB_TOKEN");
    variable->set_required(true);
    variable->set_summary("Set by the organization.");
    v1::ResolutionStep* step = variable->add_steps();
    step->set_scope(v1::CREDENTIAL_SCOPE_ORG);
    step->set_outcome(v1::STEP_OUTCOME_CHOSEN);
    step->set_credential("orgs/dev/credentials/GITHUB_TOKEN");
    step->set_updater("orgs/dev/users/root");
    response->set_resolvable(true);
    if (!absl::EndsWith(request->mcp_server(), "/refused")) return Seen(context, *request);
    variable->set_resolved(true);
    // One that may not be set, one that has no value and one that need not.
    response->add_variables()->set_variable("PATH");
    for (const char* name : {"UNSET", "OPTIONAL"}) {
      variable = response->add_variables();
      variable->set_variable(name);
      variable->set_required(name == std::string("UNSET"));
      variable->add_steps()->set_outcome(v1::STEP_OUTCOME_NOT_SET);
    }
    response->set_resolvable(false);
    return Seen(context, *request);
  }

  Status CreateSession(Context* context, const v1::CreateSessionRequest* request,
                       v1::CreateSessionResponse* response) override {
    response->set_token("the-session-token");
    *response->mutable_session() = request->session();
    response->mutable_session()->set_name(absl::StrCat(request->parent(), "/sessions/s1"));
    return Seen(context, *request);
  }
  Status GetSession(Context* context, const v1::GetSessionRequest* request, v1::Session* response) override {
    response->set_name(request->name());
    return Seen(context, *request);
  }
  Status ListSessions(Context* context, const v1::ListSessionsRequest* request,
                      v1::ListSessionsResponse* response) override {
    response->add_sessions()->set_name(absl::StrCat(request->parent(), "/sessions/s1"));
    return Seen(context, *request);
  }
  Status RevokeSession(Context* context, const v1::RevokeSessionRequest* request, Empty*) override {
    return Seen(context, *request);
  }

  Status CreateService(Context* context, const v1::CreateServiceRequest* request, v1::Service* response) override {
    *response = request->service();
    return Seen(context, *request);
  }
  Status UpdateService(Context* context, const v1::UpdateServiceRequest* request, v1::Service* response) override {
    *response = request->service();
    return Seen(context, *request);
  }
  Status CreateWorkload(Context* context, const v1::CreateWorkloadRequest* request, v1::Workload* response) override {
    *response = request->workload();
    return Seen(context, *request);
  }

  Status CreateToken(Context* context, const v1::CreateTokenRequest* request,
                     v1::CreateTokenResponse* response) override {
    response->set_token("the-token-text");
    response->mutable_metadata()->set_name(absl::StrCat(request->parent(), "/tokens/t1"));
    return Seen(context, *request);
  }
  Status GetCaller(Context* context, const v1::GetCallerRequest* request, v1::Caller* response) override {
    response->set_principal("orgs/dev/users/ada");
    response->set_server_version("9.9.9");
    response->mutable_token_expire_time()->set_seconds(4102444800);
    return Seen(context, *request);
  }
  Status ListProcesses(Context* context, const v1::ListProcessesRequest* request,
                       v1::ListProcessesResponse* response) override {
    v1::Process* process = response->add_processes();
    process->set_name("orgs/dev/processes/p1.00");
    process->mutable_info()->set_host("host-1");
    process->set_mcp_server("orgs/dev/mcpServers/github");
    process->add_credentials()->set_credential("orgs/dev/credentials/HELD");
    process->add_credentials()->set_credential("orgs/dev/credentials/HELD_TOO");
    return Seen(context, *request);
  }
  // Commands ask for it besides what they do, so it is not among the requests.
  Status GetCredentialRollout(Context*, const v1::GetCredentialRolloutRequest* request,
                              v1::CredentialRollout* response) override {
    absl::MutexLock lock(&mutex_);
    // The last one stays.
    *response = rollouts_.front();
    if (rollouts_.size() > 1) rollouts_.erase(rollouts_.begin());
    response->set_name(request->name());
    return Status::OK;
  }
  void SetRollouts(std::vector<v1::CredentialRollout> rollouts) {
    absl::MutexLock lock(&mutex_);
    rollouts_ = std::move(rollouts);
  }

  Status RevokeToken(Context* context, const v1::RevokeTokenRequest* request, Empty*) override {
    return Seen(context, *request);
  }

 private:
  Status Seen(Context* context, const google::protobuf::Message& request) {
    absl::MutexLock lock(&mutex_);
    requests_.push_back(absl::StrCat(request.GetDescriptor()->name(), " {", request.ShortDebugString(), "}"));
    for (const auto& [key, value] : context->client_metadata()) {
      metadata_[std::string(key.data(), key.size())] = std::string(value.data(), value.size());
    }
    return failures_left_-- > 0 ? failure_ : Status::OK;
  }
  void Keep(const std::string& name, const std::string& value) {
    absl::MutexLock lock(&mutex_);
    values_[name] = value;
  }
  v1::Credential StoreCredential(const std::string& name, int64_t version) {
    v1::Credential credential;
    credential.set_name(name);
    credential.set_version(version);
    credential.set_scope(v1::CREDENTIAL_SCOPE_ORG);
    credential.set_status(v1::CREDENTIAL_STATUS_ACTIVE);
    credential.mutable_update_time()->set_seconds(1000);
    absl::MutexLock lock(&mutex_);
    credentials_[name] = credential;
    return credential;
  }

  mutable absl::Mutex mutex_;
  std::vector<std::string> requests_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::string> values_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::string> metadata_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, v1::Credential> credentials_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::CredentialRollout> rollouts_ ABSL_GUARDED_BY(mutex_) = std::vector<v1::CredentialRollout>(1);
  std::string oauth_variable_ ABSL_GUARDED_BY(mutex_);
  std::string oauth_provider_ ABSL_GUARDED_BY(mutex_);
  Status failure_ ABSL_GUARDED_BY(mutex_);
  int failures_left_ ABSL_GUARDED_BY(mutex_) = 0;
};

TestServer::TestServer(const std::string& folder)
    : ca_file_(folder + "/ca.pem"),
      token_file_(folder + "/token"),
      services_(std::make_unique<Services>()),
      oauth_services_(std::make_unique<TestOauthServices>(services_->Record())) {
  const TestCertificate certificate = MakeTestCertificate();
  std::ofstream(ca_file_) << certificate.certificate;
  std::ofstream(token_file_) << "test-token\n";
  chmod(token_file_.c_str(), 0600);
  grpc::SslServerCredentialsOptions tls;
  tls.pem_key_cert_pairs.push_back({certificate.key, certificate.certificate});
  grpc::EnableDefaultHealthCheckService(true);
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::SslServerCredentials(tls), &port);
  builder.RegisterService(static_cast<v1::CredentialService::Service*>(services_.get()));
  builder.RegisterService(static_cast<v1::DirectoryService::Service*>(services_.get()));
  builder.RegisterService(static_cast<v1::McpServerService::Service*>(services_.get()));
  builder.RegisterService(static_cast<v1::ProcessService::Service*>(services_.get()));
  builder.RegisterService(static_cast<v1::ResolutionService::Service*>(services_.get()));
  builder.RegisterService(static_cast<v1::SessionService::Service*>(services_.get()));
  builder.RegisterService(static_cast<v1::TokenService::Service*>(services_.get()));
  builder.RegisterService(static_cast<v1::OauthProviderService::Service*>(oauth_services_.get()));
  builder.RegisterService(static_cast<v1::ConnectionService::Service*>(oauth_services_.get()));
  server_ = builder.BuildAndStart();
  address_ = absl::StrCat("127.0.0.1:", port);
}

TestServer::~TestServer() { server_->Shutdown(); }

void TestServer::Fail(grpc::StatusCode code, const std::string& message, const v1::ErrorDetail* detail, int times) {
  services_->Fail(grpc::Status(code, message, detail == nullptr ? "" : Trailer(*detail)), times);
}

std::vector<std::string> TestServer::Requests() const { return services_->Requests(); }
std::string TestServer::Value(const std::string& name) const { return services_->Value(name); }
std::string TestServer::Metadata(const std::string& key) const { return services_->Metadata(key); }
void TestServer::SetRollouts(std::vector<v1::CredentialRollout> rollouts) {
  services_->SetRollouts(std::move(rollouts));
}
void TestServer::SetOauthAnswers(TestOauthAnswers answers) { oauth_services_->Answer(std::move(answers)); }
void TestServer::NeedConnection(const std::string& variable, const std::string& provider) {
  services_->NeedConnection(variable, provider);
}
void TestServer::AddCredentials(int count) { services_->AddCredentials(count); }

}  // namespace keyferry::client::cli
