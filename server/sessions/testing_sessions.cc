#include "server/sessions/testing_sessions.h"

#include <cstdlib>
#include <iostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/records/records.pb.h"
#include "storage/records/typed.h"

namespace keyferry::server {
namespace {

void Check(const absl::Status& status, absl::string_view what) {
  if (status.ok()) return;
  std::cerr << "test set-up failed: " << what << ": " << status << "\n";
  std::abort();
}

std::unique_ptr<UsageRecorder> StartRecorder(TestDirectory& directory, AuditLog* audit) {
  UsageRecorder::Options options;
  options.background = false;
  auto recorder = UsageRecorder::Start(directory.store.get(), audit, directory.context.clock, nullptr, options);
  Check(recorder.status(), "usage");
  return *std::move(recorder);
}

AuditLog::Options QuietAudit() {
  AuditLog::Options options;
  options.background = false;
  return options;
}

void Apply(McpServerRules& servers, const Caller& caller, const std::string& name) {
  v1::ApplyMcpServerRequest request;
  request.mutable_mcp_server()->set_name(name);
  request.mutable_mcp_server()->set_transport(v1::MCP_TRANSPORT_HTTP);
  v1::EnvBinding* binding = request.mutable_mcp_server()->add_env();
  binding->set_variable("A");
  binding->set_org_secret("TOKEN");
  Check(servers.ApplyMcpServer(caller, request).status(), name);
}

}  // namespace

TestSessions::TestSessions(SessionLimits limits)
    : audit(directory.store.get(), QuietAudit()),
      usage(StartRecorder(directory, &audit)),
      servers(directory.store.get(), directory.context.clock, &directory.pages),
      sessions(directory.store.get(), directory.context.clock, &directory.pages, limits),
      resolver(directory.store.get(), directory.context.clock, usage.get()) {
  const Caller root = directory.Root();
  for (const char* user : {"ada", "bob"}) directory.AddUser(user);
  for (const char* team : {"eng", "ops"}) {
    directory.AddTeam(team);
    directory.AddMember(team, "ada", v1::TEAM_ROLE_MEMBER);
  }
  for (const auto& [id, role, may] :
       {std::tuple("platform", v1::ORG_ROLE_MEMBER, true), std::tuple("console", v1::ORG_ROLE_ADMIN, false)}) {
    v1::CreateServiceRequest request;
    request.set_parent("orgs/acme");
    request.set_service_id(id);
    request.mutable_service()->set_role(role);
    request.mutable_service()->set_can_create_sessions(may);
    Check(directory.principals.CreateService(root, request).status(), id);
  }
  const std::string names[] = {kGithub, kBuilder, "orgs/acme/mcpServers/other"};
  for (const auto& [id, may] : {std::pair("runner", true), std::pair("spare", true), std::pair("plain", false)}) {
    v1::CreateWorkloadRequest request;
    request.set_parent("orgs/acme");
    request.set_workload_id(id);
    for (const std::string& name : names) request.mutable_workload()->add_mcp_servers(name);
    request.mutable_workload()->set_can_use_sessions(may);
    Check(directory.principals.CreateWorkload(root, request).status(), id);
  }
  for (const std::string& name : names) Apply(servers, root, name);
  PutToken("users/ada", "personal");
  PutToken("teams/eng", "team");
  PutToken("", "org");
}

v1::CreateSessionRequest TestSessions::Request(const std::string& user) {
  v1::CreateSessionRequest request;
  request.set_parent("orgs/acme");
  request.mutable_session()->set_user(absl::StrCat("orgs/acme/users/", user));
  request.mutable_session()->add_mcp_servers(kGithub);
  return request;
}

v1::CreateSessionResponse TestSessions::Made(const v1::CreateSessionRequest& request) {
  const auto made = sessions.CreateSession(Platform(), request);
  Check(made.status(), "session");
  return *made;
}

std::string TestSessions::Resolve(const std::string& token, const std::string& server, const std::string& principal,
                                  const std::string& team) {
  v1::ResolveRequest request;
  request.set_mcp_server(server);
  request.set_session_token(token);
  request.set_team(team);
  const auto resolved = resolver.Resolve(directory.As(principal), request);
  if (!resolved.ok()) return ReasonOf(resolved.status());
  return resolved->variables_size() == 1 ? resolved->variables(0).value() : "not one variable";
}

absl::Status TestSessions::Refusal(const std::string& token, const std::string& server, const std::string& principal,
                                   const std::string& team) {
  v1::ResolveRequest request;
  request.set_mcp_server(server);
  request.set_session_token(token);
  request.set_team(team);
  return resolver.Resolve(directory.As(principal), request).status();
}

void TestSessions::PutToken(const std::string& parent, const std::string& value) {
  storage::records::ValueRecord record;
  record.set_version(1);
  record.set_value(value);
  storage::Mutation mutation;
  mutation.Put({storage::Table::kCredentialValue, "acme", parent, "TOKEN"}, storage::SerializeSecret(record), 1,
               std::nullopt);
  Check(directory.store->Commit(mutation, storage::Durability::kSynced).status(), "TOKEN");
}

void TestSessions::DeleteToken(const std::string& parent) {
  storage::Mutation mutation;
  mutation.Delete({storage::Table::kCredentialValue, "acme", parent, "TOKEN"}, std::nullopt);
  Check(directory.store->Commit(mutation, storage::Durability::kSynced).status(), "TOKEN");
}

std::string TestSessions::Listed() {
  v1::ListSessionsRequest request;
  request.set_parent("orgs/acme");
  const auto listed = sessions.ListSessions(directory.Root(), request);
  Check(listed.status(), "list");
  std::string names;
  for (const v1::Session& session : listed->sessions()) {
    absl::StrAppend(&names, names.empty() ? "" : " ", session.name().substr(session.name().rfind('/') + 1));
  }
  return names;
}

bool TestSessions::IsStored(const v1::Session& session) {
  const std::string id = session.name().substr(session.name().rfind('/') + 1);
  return *directory.store->View()->Contains({storage::Table::kSession, "acme", "", id});
}

}  // namespace keyferry::server
