#include "client/cli/run.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "client/cli/run_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace keyferry::client::cli {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

TEST_F(RunTest, ValuesTravelByteForByteLessOneNewline) {
  const std::string all_bytes = [] {
    std::string bytes;
    for (int c = 1; c < 256; ++c) bytes.push_back(static_cast<char>(c));
    return bytes;
  }();
  const std::map<std::string, std::string> cases = {{"v", "v"},       {"v\n", "v"},     {"v\n\n", "v\n"},
                                                    {"v\r\n", "v\r"}, {" v \n", " v "}, {all_bytes, all_bytes}};
  for (const auto& [input, expected] : cases) {
    EXPECT_EQ(Keyferry("credential create A", input), 0) << error_;
    EXPECT_EQ(server_->Value("orgs/dev/credentials/A"), expected);
    EXPECT_EQ(Keyferry("credential rotate B --from-file " + Write("value", input)), 0) << error_;
    EXPECT_EQ(server_->Value("orgs/dev/credentials/B"), expected);
  }
  const std::string longest(64 * 1024, 'x');
  EXPECT_EQ(Keyferry("credential create A", longest + "\n"), 0);
  EXPECT_EQ(server_->Value("orgs/dev/credentials/A"), longest);
}

TEST_F(RunTest, BadValuesChangeNothing) {
  const std::vector<std::pair<std::string, std::string>> cases = {{"", "the value is empty"},
                                                                  {"\n", "the value is empty"},
                                                                  {std::string("sekrit\0x", 8), "NUL byte"},
                                                                  {std::string(64 * 1024 + 1, 's'), "longer than 64"},
                                                                  {std::string(70 * 1024, 's'), "longer than 64"}};
  for (const auto& [input, expected] : cases) {
    EXPECT_EQ(Keyferry("credential create A", input), 65);
    EXPECT_THAT(error_, AllOf(HasSubstr(expected), Not(HasSubstr("sss")), Not(HasSubstr("sekrit"))));
  }
  EXPECT_EQ(Keyferry("credential create A --from-file /nonexistent/file"), 65);
  EXPECT_THAT(server_->Requests(), IsEmpty());
}

TEST_F(RunTest, ValueOnTheCommandLineIsAUsageErrorAndNotShown) {
  for (const char* line : {"credential create A sekrit", "credential rotate A sekrit --team eng"}) {
    EXPECT_EQ(Keyferry(line, "v"), 64);
    EXPECT_THAT(error_, AllOf(HasSubstr("a value is never given on the command line"), Not(HasSubstr("sekrit"))));
  }
  for (const char* line : {"credential create A --value=sekrit", "credential sekrit-1 A", "token create sekrit"}) {
    EXPECT_EQ(Keyferry(line, "v"), 64) << line;
    EXPECT_THAT(error_, Not(HasSubstr("sekrit")));
  }
  EXPECT_THAT(server_->Requests(), IsEmpty());
}

TEST_F(RunTest, IdentityAndClientTravelWithEachCall) {
  EXPECT_EQ(Keyferry("credential describe A"), 0) << error_;
  EXPECT_EQ(server_->Metadata("authorization"), "Bearer test-token");
  EXPECT_THAT(server_->Metadata("user-agent"), StartsWith("keyferry/0.1.0"));
}

TEST_F(RunTest, CommandsSendWhatTheySay) {
  const std::string file = Write("server.yaml", "id: github\nteam: eng\ntransport: HTTP\n");
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"credential create A --team eng --description d",
       R"(CreateCredentialRequest {parent: "orgs/dev/teams/eng" credential_id: "A" credential { description: "d" } value: "v"})"},
      {"credential create A --me --rotate-by 2027-01-31",
       R"(CreateCredentialRequest {parent: "orgs/dev/users/ada" credential_id: "A" credential { rotate_by { seconds: 1801353600 } } value: "v"})"},
      {"credential rotate A --grace 2d",
       R"(RotateCredentialRequest {name: "orgs/dev/credentials/A" value: "v" grace { seconds: 172800 }})"},
      {"credential rotate A --grace 0",
       R"(RotateCredentialRequest {name: "orgs/dev/credentials/A" value: "v" grace { }})"},
      {"credential rotate A --etag e1 --rotate-by 2027-01-31",
       R"(RotateCredentialRequest {name: "orgs/dev/credentials/A" value: "v" etag: "e1" rotate_by { seconds: 1801353600 }})"},
      {"credential rotate A --rotate-by none",
       R"(RotateCredentialRequest {name: "orgs/dev/credentials/A" value: "v" remove_rotate_by: true})"},
      {"credential rollback A --etag e1", R"(RollbackCredentialRequest {name: "orgs/dev/credentials/A" etag: "e1"})"},
      {"credential update A --description d --etag e1",
       R"(UpdateCredentialRequest {credential { name: "orgs/dev/credentials/A" description: "d" etag: "e1" } update_mask { paths: "description" }})"},
      {"credential delete A --yes --etag e1", R"(DeleteCredentialRequest {name: "orgs/dev/credentials/A" etag: "e1"})"},
      {"credential rollback orgs/x/teams/y/credentials/Z",
       R"(RollbackCredentialRequest {name: "orgs/x/teams/y/credentials/Z"})"},
      {"credential update A --rotate-by none",
       R"(UpdateCredentialRequest {credential { name: "orgs/dev/credentials/A" } update_mask { paths: "rotate_by" }})"},
      {"credential delete A --yes", R"(DeleteCredentialRequest {name: "orgs/dev/credentials/A"})"},
      {"credential list --mine", R"(ListMyCredentialsRequest {parent: "orgs/dev/users/ada" page_size: 1000})"},
      {"credential import -f " + Write("a.env", "export A='x y'\nB=1\n"),
       R"(ImportCredentialsRequest {parent: "orgs/dev" entries { credential_id: "A" value: "x y" } entries { credential_id: "B" value: "1" } conflict: IMPORT_CONFLICT_FAIL})"},
      {"credential import --team eng --on-conflict rotate --grace 1h --dry-run -f " +
           Write("a.json", R"({"A": {"value": "x", "description": "d", "rotateBy": "2027-01-31"}})"),
       R"(ImportCredentialsRequest {parent: "orgs/dev/teams/eng" entries { credential_id: "A" value: "x" description: "d" rotate_by { seconds: 1801353600 } } conflict: IMPORT_CONFLICT_ROTATE grace { seconds: 3600 } validate_only: true})"},
      {"credential import --me --on-conflict skip --format yaml -f " + Write("a.env2", "A: x\n"),
       R"(ImportCredentialsRequest {parent: "orgs/dev/users/ada" entries { credential_id: "A" value: "x" } conflict: IMPORT_CONFLICT_SKIP})"},
      {"credential rotate-many --team eng --grace 0 -f " + Write("b.yml", "A: x\nB: 'y'\n"),
       R"(BatchRotateCredentialsRequest {parent: "orgs/dev" requests { name: "orgs/dev/teams/eng/credentials/A" value: "x" grace { } } requests { name: "orgs/dev/teams/eng/credentials/B" value: "y" grace { } }})"},
      {"org allow-name PATH",
       R"(UpdateOrgRequest {org { name: "orgs/dev" etag: "etag-7" allowed_variable_names: "NODE_OPTIONS" allowed_variable_names: "PATH" } update_mask { paths: "allowed_variable_names" }})"},
      {"org disallow-name NODE_OPTIONS",
       R"(UpdateOrgRequest {org { name: "orgs/dev" etag: "etag-7" } update_mask { paths: "allowed_variable_names" }})"},
      {"user create list --role admin",
       R"(CreateUserRequest {parent: "orgs/dev" user_id: "list" user { role: ORG_ROLE_ADMIN }})"},
      {"user create bob", R"(CreateUserRequest {parent: "orgs/dev" user_id: "bob" user { role: ORG_ROLE_MEMBER }})"},
      {"user delete delete -y", R"(DeleteUserRequest {name: "orgs/dev/users/delete"})"},
      {"team add-member eng bob --role owner",
       R"(SetTeamMemberRequest {member { name: "orgs/dev/teams/eng/members/bob" role: TEAM_ROLE_OWNER }})"},
      {"org set-tier enterprise",
       R"(UpdateOrgRequest {org { name: "orgs/dev" tier: TIER_ENTERPRISE } update_mask { paths: "tier" }})"},
      {"org delete --yes", R"(DeleteOrgRequest {name: "orgs/dev" etag: "etag-7"})"},
      {"workload grant w b eng/c",
       R"(UpdateWorkloadRequest {workload { name: "orgs/dev/workloads/w" mcp_servers: "orgs/dev/mcpServers/a" mcp_servers: "orgs/dev/mcpServers/b" mcp_servers: "orgs/dev/teams/eng/mcpServers/c" } update_mask { paths: "mcp_servers" }})"},
      {"workload revoke w a",
       R"(UpdateWorkloadRequest {workload { name: "orgs/dev/workloads/w" } update_mask { paths: "mcp_servers" }})"},
      {"workload grant w --can-use-sessions --issuer cluster --namespace tools --service-account mcp --pod-uid u-1",
       R"(UpdateWorkloadRequest {workload { name: "orgs/dev/workloads/w" can_use_sessions: true identities { spiffe_id: "spiffe://prod/a" } identities { kubernetes { issuer: "cluster" namespace: "tools" service_account: "mcp" pod_uid: "u-1" } } } update_mask { paths: "can_use_sessions" paths: "identities" }})"},
      {"workload revoke w a --can-use-sessions --spiffe-id spiffe://prod/a",
       R"(UpdateWorkloadRequest {workload { name: "orgs/dev/workloads/w" } update_mask { paths: "mcp_servers" paths: "can_use_sessions" paths: "identities" }})"},
      {"workload create w --can-use-sessions",
       R"(CreateWorkloadRequest {parent: "orgs/dev" workload_id: "w" workload { can_use_sessions: true }})"},
      {"workload update w --can-use-sessions --display-name W",
       R"(UpdateWorkloadRequest {workload { name: "orgs/dev/workloads/w" display_name: "W" can_use_sessions: true } update_mask { paths: "display_name" paths: "can_use_sessions" }})"},
      {"workload update w --cannot-use-sessions",
       R"(UpdateWorkloadRequest {workload { name: "orgs/dev/workloads/w" } update_mask { paths: "can_use_sessions" }})"},
      {"service create s --can-create-sessions",
       R"(CreateServiceRequest {parent: "orgs/dev" service_id: "s" service { role: ORG_ROLE_MEMBER can_create_sessions: true }})"},
      {"service update s --can-create-sessions",
       R"(UpdateServiceRequest {service { name: "orgs/dev/services/s" can_create_sessions: true } update_mask { paths: "can_create_sessions" }})"},
      {"service update s --cannot-create-sessions --role admin",
       R"(UpdateServiceRequest {service { name: "orgs/dev/services/s" role: ORG_ROLE_ADMIN } update_mask { paths: "role" paths: "can_create_sessions" }})"},
      {"session create --user bob --team eng --mcp-server a --mcp-server eng/b --workload w --ttl 30m",
       R"(CreateSessionRequest {parent: "orgs/dev" session { user: "orgs/dev/users/bob" team: "orgs/dev/teams/eng" mcp_servers: "orgs/dev/mcpServers/a" mcp_servers: "orgs/dev/teams/eng/mcpServers/b" workload: "orgs/dev/workloads/w" } ttl { seconds: 1800 }})"},
      {"session list --user bob",
       R"(ListSessionsRequest {parent: "orgs/dev" page_size: 1000 user: "orgs/dev/users/bob"})"},
      {"session describe s1", R"(GetSessionRequest {name: "orgs/dev/sessions/s1"})"},
      {"session revoke orgs/dev/sessions/s1", R"(RevokeSessionRequest {name: "orgs/dev/sessions/s1"})"},
      {"mcp-server apply --dry-run -f " + file,
       R"(ApplyMcpServerRequest {mcp_server { name: "orgs/dev/teams/eng/mcpServers/github" transport: MCP_TRANSPORT_HTTP } validate_only: true})"},
      {"explain github --user bob --team eng",
       R"(ExplainRequest {mcp_server: "orgs/dev/mcpServers/github" team: "orgs/dev/teams/eng" user: "orgs/dev/users/bob"})"},
      {"process list --mcp-server eng/m",
       R"(ListProcessesRequest {parent: "orgs/dev" page_size: 1000 mcp_server: "orgs/dev/teams/eng/mcpServers/m"})"},
      {"token create --workload w --ttl 1h30m",
       R"(CreateTokenRequest {parent: "orgs/dev/workloads/w" ttl { seconds: 5400 }})"},
      {"token revoke t1", R"(RevokeTokenRequest {name: "orgs/dev/users/ada/tokens/t1"})"},
  };
  for (const auto& [line, expected] : cases) {
    EXPECT_EQ(Keyferry(line, "v\n"), 0) << line << ": " << error_;
    ASSERT_THAT(server_->Requests(), Not(IsEmpty()));
    EXPECT_EQ(server_->Requests().back(), expected) << line;
  }
}

TEST_F(RunTest, ListsSendTheirConditions) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"credential list", R"(ListCredentialsRequest {parent: "orgs/dev" page_size: 1000})"},
      {"credential list --scope org --scope user --name *_TOKEN --status suspended --source manual --overdue "
       "--unused-since 2027-01-31 --sort rotate_by:desc,name",
       R"(ListCredentialsRequest {parent: "orgs/dev" page_size: 1000 filter { scopes: CREDENTIAL_SCOPE_ORG scopes: CREDENTIAL_SCOPE_USER id_pattern: "*_TOKEN" status: CREDENTIAL_STATUS_SUSPENDED source: CREDENTIAL_SOURCE_MANUAL unused_since { seconds: 1801353600 } rotation_overdue: true } order_by: "rotate_by desc,name"})"},
      {"credential list --team eng --unused-since 30m",
       R"(ListCredentialsRequest {parent: "orgs/dev/teams/eng" page_size: 1000 filter { unused_since { seconds: 2200 } }})"},
      {"credential list --mine --name *_TOKEN --source oauth --status not_set --status connect_needed --sort name:desc",
       R"(ListMyCredentialsRequest {parent: "orgs/dev/users/ada" page_size: 1000 source: CREDENTIAL_SOURCE_OAUTH id_pattern: "*_TOKEN" statuses: MY_CREDENTIAL_STATUS_NOT_SET statuses: MY_CREDENTIAL_STATUS_CONNECT_NEEDED order_by: "name desc"})"},
      {"credential export",
       R"(ListCredentialsRequest {parent: "orgs/dev" page_size: 1000 filter { scopes: CREDENTIAL_SCOPE_ORG scopes: CREDENTIAL_SCOPE_TEAM scopes: CREDENTIAL_SCOPE_USER }})"},
      {"credential export --me -o json", R"(ListCredentialsRequest {parent: "orgs/dev/users/ada" page_size: 1000})"},
  };
  for (const auto& [line, expected] : cases) {
    EXPECT_EQ(Keyferry(line), 0) << line << ": " << error_;
    ASSERT_THAT(server_->Requests(), Not(IsEmpty()));
    EXPECT_EQ(server_->Requests().back(), expected) << line;
  }
}

TEST_F(RunTest, UsageErrors) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "no command given"},
      {"credential", "no command given: keyferry credential"},
      {"bogus", "unknown command: keyferry bogus"},
      {"credential bogus", "unknown command: keyferry credential bogus"},
      {"credential create", "NAME is required"},
      {"credential create A --team x --me", "--team excludes --me"},
      {"credential list --me --mine", "excludes"},
      {"credential create A --bogus", "unknown option --bogus"},
      {"credential rotate A --grace soon", "--grace: must be a duration"},
      {"credential rotate A --grace -5m", "--grace: must be a duration"},
      {"credential update A", "nothing to update"},
      {"credential delete A", "add --yes"},
      {"credential list --mine --overdue", "--mine does not take --overdue"},
      {"credential list --mine --unused-since 90d", "--mine does not take --unused-since"},
      {"credential list --mine --status active", "--status active; use set_by_me, set_by_team, set_by_org, not_set"},
      {"credential list --status not_set", "--status not_set; use active, suspended"},
      {"credential list --status active --status suspended", "given more than once: --status"},
      {"credential list --scope all", "--scope: must be one of org, team, user"},
      {"credential list --team a --scope org", "excludes"},
      {"credential list --unused-since soon", "--unused-since: must be a date such as 2027-01-31 or a duration"},
      {"credential import", "--file is required"},
      {"credential import -f - --on-conflict merge", "--on-conflict: must be one of fail, rotate, skip"},
      {"credential import -f - --format xml", "--format: must be one of dotenv, json, yaml"},
      {"user create bob --role king", "--role: must be one of admin, member"},
      {"user create a b", "unexpected argument"},
      {"org set-tier gold", "TIER: must be one of free, team, business, enterprise"},
      {"token create", "whose token is not said"},
      {"token create --user a --service b", "excludes"},
      {"session create --mcp-server a", "--user is required"},
      {"session create --user a", "--mcp-server is required"},
      {"session create --user a --mcp-server b --ttl x", "--ttl: must be a duration"},
      {"service update s", "nothing to change"},
      {"service update s --can-create-sessions --cannot-create-sessions", "excludes"},
      {"workload update w", "nothing to change"},
      {"workload grant w", "nothing to change"},
      {"workload revoke w", "nothing to change"},
      {"workload grant w --issuer cluster --namespace tools", "needs --service-account"},
      {"workload grant w --pod p", "needs --issuer"},
      {"workload grant w --spiffe-id spiffe://a/b --pod p", "excludes"},
      {"mcp-server apply", "--file is required"},
      {"status --timeout 1", "--timeout: must be a duration"},
      {"status -o xml", "must be one of json, yaml, table"},
      {"status --org", "--org"},
  };
  for (const auto& [line, expected] : cases) {
    EXPECT_EQ(Keyferry(line, "v"), 64) << line;
    EXPECT_THAT(error_, AllOf(StartsWith("keyferry: "), HasSubstr(expected), testing::EndsWith("\n"))) << line;
    EXPECT_EQ(std::count(error_.begin(), error_.end(), '\n'), 1) << error_;
    EXPECT_EQ(output_, "");
  }
  EXPECT_THAT(server_->Requests(), IsEmpty());
}

TEST_F(RunTest, FilesOfCredentialsAreReadWholeBeforeAnythingIsSentAndNeverShown) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"A=1\nB=sek$rit\n", "standard input:2:6: "},
      {"A=1\nA=sekrit\n", "standard input:2:1: A is given twice; first on line 1"},
      {"", "standard input:1:1: no credential in this file"},
      {"sekrit\n", "standard input:1:7: "},
      {std::string(5 << 20, 's'), "longer than 4 MiB: standard input"},
  };
  for (const auto& [input, expected] : cases) {
    for (const char* line : {"credential import -f -", "credential rotate-many -f -"}) {
      EXPECT_EQ(Keyferry(line, input), 65) << line;
      EXPECT_THAT(error_, AllOf(HasSubstr(expected), Not(HasSubstr("sek")), Not(HasSubstr("sss")))) << line;
      EXPECT_EQ(output_, "");
    }
  }
  EXPECT_EQ(Keyferry("credential import -f - --format json", R"({"A": sekrit})"), 65);
  EXPECT_THAT(error_, AllOf(HasSubstr("standard input:1:7: not JSON"), Not(HasSubstr("sek"))));
  EXPECT_EQ(Keyferry("credential import -f /nonexistent.env"), 65);
  std::string many;
  for (int i = 0; i < 1001; ++i) many += "N" + std::to_string(i) + "=sekrit\n";
  EXPECT_EQ(Keyferry("credential import -f -", many), 65);
  EXPECT_THAT(error_, HasSubstr("more than 1000 credentials"));
  EXPECT_EQ(Keyferry("credential rotate-many -f -", many), 65);
  EXPECT_THAT(error_, HasSubstr("more than 100 credentials"));
  EXPECT_EQ(Keyferry("credential rotate-many --format yaml -f -", "A: {value: sekrit, description: d}"), 65);
  EXPECT_THAT(error_, AllOf(HasSubstr("a rotation changes the value alone: A"), Not(HasSubstr("sekrit"))));
  std::string large;
  for (int i = 0; i < 90; ++i) large += "N" + std::to_string(i) + "=" + std::string(60000, 's') + "\n";
  EXPECT_EQ(Keyferry("credential import -f -", large), 65);
  EXPECT_THAT(server_->Requests(), IsEmpty());
  EXPECT_EQ(Keyferry("org disallow-name PATH"), 1);
  EXPECT_THAT(error_, HasSubstr("not allowed anyway: PATH"));
}

TEST_F(RunTest, ImportsShowWhatWasDoneAndNoValue) {
  EXPECT_EQ(Keyferry("credential import -f - -o json", "A='se\nkrit'\nB=\"x\\ty\"\n"), 0) << error_;
  EXPECT_EQ(server_->Value("orgs/dev/credentials/A"), "se\nkrit");
  EXPECT_EQ(server_->Value("orgs/dev/credentials/B"), "x\ty");
  EXPECT_EQ(Json()[0]["name"], "orgs/dev/credentials/A");
  EXPECT_EQ(Json()[1]["action"], "IMPORT_ACTION_CREATE");
  EXPECT_EQ(Keyferry("credential import -f - --dry-run", "A=sekrit"), 0);
  EXPECT_THAT(error_, HasSubstr("a dry run; nothing was changed"));
  EXPECT_THAT(output_ + error_, Not(HasSubstr("krit")));
  EXPECT_EQ(Keyferry("credential rotate-many -f -", "A=sekrit"), 0) << error_;
  EXPECT_THAT(output_ + error_, Not(HasSubstr("krit")));
  EXPECT_EQ(server_->Value("orgs/dev/credentials/A"), "sekrit");
  // A change of many is not sent twice.
  server_->Fail(grpc::StatusCode::UNAVAILABLE, "restarting", nullptr, /*times=*/1);
  EXPECT_EQ(Keyferry("credential import -f -", "A=1"), 69);
}

TEST_F(RunTest, AnExportIsYamlOrJsonOfEverythingButValues) {
  server_->AddCredentials(3);
  EXPECT_EQ(Keyferry("credential export"), 0) << error_;
  EXPECT_THAT(output_, AllOf(HasSubstr("name: orgs/dev/credentials/C0"), HasSubstr("rotationOverdue: false")));
  EXPECT_EQ(Keyferry("credential export -o json"), 0) << error_;
  EXPECT_EQ(Json().size(), 3u);
}

TEST_F(RunTest, ApplySaysForWhomCredentialsAreMissing) {
  EXPECT_EQ(Keyferry("mcp-server apply -f " + Write("s.yaml", "id: github\ntransport: HTTP\n")), 0) << error_;
  // How to store what lacks for everybody is said where that is said.
  EXPECT_THAT(error_, HasSubstr("orgs/dev/mcpServers/github lacks for ada: GITHUB_TOKEN, OTHER; ada sets it with "
                                "`keyferry credential create OTHER --me`\n"));
}

TEST_F(RunTest, BadDataErrors) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"credential describe a/b", "not a credential's name"},
      {"user delete a/b --yes", "not an id of users: a/b"},
      {"team add-member eng a/b", "not a user's id"},
      {"explain a/b/c", "not an MCP server"},
      {"token revoke a/b", "not a token's id"},
      {"mcp-server apply -f -", "standard input:2:1: unknown key `bogus`"},
      {"mcp-server apply -f /nonexistent.yaml", "cannot open"},
  };
  for (const auto& [line, expected] : cases) {
    EXPECT_EQ(Keyferry(line, "id: a\nbogus: b\n"), 65) << line;
    EXPECT_THAT(error_, HasSubstr(expected)) << line;
  }
  EXPECT_THAT(server_->Requests(), IsEmpty());
}

TEST_F(RunTest, EveryCodeOfTheServerHasItsExitCode) {
  const std::map<grpc::StatusCode, int> codes = {{grpc::StatusCode::INVALID_ARGUMENT, 65},
                                                 {grpc::StatusCode::UNAUTHENTICATED, 77},
                                                 {grpc::StatusCode::PERMISSION_DENIED, 77},
                                                 {grpc::StatusCode::NOT_FOUND, 1},
                                                 {grpc::StatusCode::ALREADY_EXISTS, 1},
                                                 {grpc::StatusCode::FAILED_PRECONDITION, 1},
                                                 {grpc::StatusCode::ABORTED, 1},
                                                 {grpc::StatusCode::INTERNAL, 1},
                                                 {grpc::StatusCode::DEADLINE_EXCEEDED, 69},
                                                 {grpc::StatusCode::RESOURCE_EXHAUSTED, 1}};
  v1::ErrorDetail detail;
  detail.set_reason("SOME_REASON");
  detail.set_resource("orgs/dev/credentials/A");
  detail.set_next_step("Do this.");
  for (const auto& [code, exit_code] : codes) {
    server_->Fail(code, "it did not work", &detail);
    EXPECT_EQ(Keyferry("credential describe A"), exit_code);
    EXPECT_EQ(error_, "keyferry: it did not work: orgs/dev/credentials/A; Do this.\n");
    EXPECT_EQ(output_, "");
  }
}

TEST_F(RunTest, UnavailableIsRetriedForReadsAlone) {
  server_->Fail(grpc::StatusCode::UNAVAILABLE, "restarting", nullptr, /*times=*/2);
  EXPECT_EQ(Keyferry("credential describe A"), 0) << error_;
  server_->Fail(grpc::StatusCode::UNAVAILABLE, "restarting", nullptr, /*times=*/1);
  EXPECT_EQ(Keyferry("credential create A", "v"), 69);
  EXPECT_THAT(error_, HasSubstr("server unreachable (restarting)"));
}

TEST_F(RunTest, ServerThatIsNotThere) {
  // A port that was just freed and that nothing listens at.
  variables_["KEYFERRY_ADDRESS"] = server_->address();
  server_.reset();
  EXPECT_EQ(Keyferry("credential describe A --timeout 500ms"), 69);
  EXPECT_THAT(error_, AllOf(HasSubstr("server unreachable"), HasSubstr("check that keyferryd is running")));
}

TEST_F(RunTest, ServerThatIsNotTrusted) {
  variables_["KEYFERRY_CA_FILE"] = Write("other.pem", MakeTestCertificate().certificate);
  EXPECT_EQ(Keyferry("credential describe A --timeout 500ms"), 69);
  EXPECT_THAT(error_, HasSubstr("other.pem"));
  EXPECT_THAT(server_->Requests(), IsEmpty());
}

TEST_F(RunTest, SettingsThatCannotBeUsed) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"--ca-file /nonexistent.pem", "the CA file cannot be opened"},
      {"--ca-file " + server_->token_file(), "the CA file holds no PEM certificate"},
      {"--token-file /nonexistent", "the token file cannot be opened"},
      {"--token-file " + folder_, "is not a regular file"},
      {"--address nowhere", "is not of the form HOST:PORT"},
      {"--profile nowhere", "no profile `nowhere`"},
  };
  for (const auto& [options, expected] : cases) {
    EXPECT_EQ(Keyferry(options + " credential describe A"), 64) << options;
    EXPECT_THAT(error_, HasSubstr(expected));
  }
  variables_.erase("KEYFERRY_ORG");
  EXPECT_EQ(Keyferry("credential describe A"), 64);
  EXPECT_THAT(error_, HasSubstr("no organization: looked at --org, KEYFERRY_ORG"));
}

TEST_F(RunTest, ListsAreArraysOfAllPages) {
  server_->AddCredentials(5);
  EXPECT_EQ(Keyferry("credential list -o json"), 0) << error_;
  ASSERT_EQ(Json().size(), 5u);
  EXPECT_EQ(Json()[0]["name"], "orgs/dev/credentials/C0");
  EXPECT_EQ(Json()[4]["updateTime"], "1970-01-01T00:16:40Z");
  EXPECT_EQ(Json()[4]["status"], "CREDENTIAL_STATUS_ACTIVE");
  EXPECT_EQ(Keyferry("credential list"), 0) << error_;
  EXPECT_THAT(output_, StartsWith("NAME  SCOPE  STATUS  VERSION  UPDATED               LAST-USED  ROTATE-BY  OVERDUE\n"
                                  "C0    ORG    ACTIVE  1        1970-01-01T00:16:40Z  -          -          false\n"));
  EXPECT_EQ(Keyferry("credential list -o yaml"), 0) << error_;
  EXPECT_THAT(output_, HasSubstr("- name: orgs/dev/credentials/C4\n"));
}

TEST_F(RunTest, EmptyListIsAnEmptyArray) {
  EXPECT_EQ(Keyferry("credential list -o json"), 0) << error_;
  EXPECT_EQ(Json(), nlohmann::json::array());
}

TEST_F(RunTest, TokenIsInJsonAndShownOnceOtherwise) {
  EXPECT_EQ(Keyferry("token create --user bob -o json"), 0) << error_;
  EXPECT_EQ(Json()["token"], "the-token-text");
  EXPECT_EQ(Json()["metadata"]["name"], "orgs/dev/users/bob/tokens/t1");
  EXPECT_EQ(Keyferry("token create --user bob"), 0) << error_;
  EXPECT_THAT(output_, HasSubstr("Token (shown once): the-token-text\n"));
}

TEST_F(RunTest, SessionTokenIsInJsonAndShownOnceOtherwise) {
  EXPECT_EQ(Keyferry("session create --user bob --mcp-server a -o json"), 0) << error_;
  EXPECT_EQ(Json()["token"], "the-session-token");
  EXPECT_EQ(Json()["session"]["name"], "orgs/dev/sessions/s1");
  EXPECT_EQ(Keyferry("session create --user bob --mcp-server a"), 0) << error_;
  EXPECT_THAT(output_, HasSubstr("Token (shown once): the-session-token\n"));
}

TEST_F(RunTest, ATokenInPlaceOfASessionIsNotShown) {
  for (const char* line : {"session revoke kfs_sekrit.x", "session describe a/sekrit"}) {
    EXPECT_EQ(Keyferry(line), 65) << line;
    EXPECT_THAT(error_, AllOf(HasSubstr("not a session's id"), Not(HasSubstr("sekrit"))));
  }
  EXPECT_THAT(server_->Requests(), IsEmpty());
}

TEST_F(RunTest, GrantsAreMadeAnewWhereOthersChangedThemMeanwhile) {
  server_->Fail(grpc::StatusCode::ABORTED, "changed", nullptr, /*times=*/3);
  EXPECT_EQ(Keyferry("workload grant w b"), 0) << error_;
  EXPECT_THAT(server_->Requests().back(), HasSubstr("mcpServers/b"));
  server_->Fail(grpc::StatusCode::ABORTED, "changed", nullptr, /*times=*/1000);
  EXPECT_EQ(Keyferry("workload grant w b"), 1);
  EXPECT_THAT(error_, HasSubstr("changed"));
}

TEST_F(RunTest, ApplyReadsEveryFileBeforeItSendsAny) {
  const std::string good = Write("good.yaml", "id: a\ntransport: STDIO\n---\nid: b\ntransport: STDIO\n");
  const std::string bad = Write("bad.yaml", "id: c\n");
  EXPECT_EQ(Keyferry("mcp-server apply -f " + good + " -f " + bad), 65);
  EXPECT_THAT(server_->Requests(), IsEmpty());
  EXPECT_EQ(Keyferry("mcp-server apply -o json -f " + good), 0) << error_;
  ASSERT_EQ(Json().size(), 2u);
  EXPECT_EQ(Json()[1]["mcpServer"]["name"], "orgs/dev/mcpServers/b");
  EXPECT_THAT(error_, HasSubstr("binds credentials that are not stored yet: GITHUB_TOKEN"));
}

TEST_F(RunTest, StatusSaysWhereAndWho) {
  EXPECT_EQ(Keyferry("status -o json"), 0) << error_;
  EXPECT_EQ(Json()["address"], server_->address());
  EXPECT_EQ(Json()["health"], "SERVING");
  EXPECT_EQ(Json()["serverVersion"], "9.9.9");
  EXPECT_EQ(Json()["principal"], "orgs/dev/users/ada");
  EXPECT_EQ(Json()["tokenExpireTime"], "2100-01-01T00:00:00Z");
}

TEST_F(RunTest, ArgumentsAreUtf8) {
  EXPECT_EQ(Keyferry("credential create A --description \xff", "v"), 64);
  EXPECT_THAT(error_, HasSubstr("not UTF-8"));
}

TEST_F(RunTest, DeletedNamesArePrinted) {
  EXPECT_EQ(Keyferry("-o json credential delete A --yes"), 0) << error_;
  EXPECT_EQ(Json()["deleted"], "orgs/dev/credentials/A");
}

TEST_F(RunTest, HelpAndVersion) {
  EXPECT_EQ(Keyferry("--help"), 0);
  EXPECT_THAT(output_, AllOf(HasSubstr("77  not signed in"), HasSubstr("KEYFERRY_TOKEN_FILE")));
  EXPECT_EQ(Keyferry("credential create --help"), 0);
  EXPECT_THAT(output_, HasSubstr("Usage: keyferry credential create"));
  for (const char* line : {"version", "--version"}) {
    EXPECT_EQ(Keyferry(line), 0);
    EXPECT_EQ(output_, "keyferry 0.1.0\n");
  }
}

}  // namespace
}  // namespace keyferry::client::cli
