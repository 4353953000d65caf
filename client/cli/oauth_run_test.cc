// The commands of OAuth providers and connections.

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/run_fixture.h"
#include "gmock/gmock.h"

namespace keyferry::client::cli {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

class OauthRunTest : public RunTest {
 protected:
  // Of the last request that is no question for more.
  std::string LastRequest() const { return server_->Requests().empty() ? "" : server_->Requests().back(); }

  int CountRequests(const std::string& name) const {
    int count = 0;
    for (const std::string& request : server_->Requests()) count += request.rfind(name + " ", 0) == 0;
    return count;
  }

  // A connection that a person has to consent to in a browser.
  static TestOauthAnswers WithAttempts(const std::vector<v1::ConnectionAttemptState>& states) {
    TestOauthAnswers answers;
    answers.start_url = "https://keyferry.example.com/connect/s3cret";
    answers.attempts.clear();
    for (const auto state : states) answers.attempts.emplace_back().set_state(state);
    answers.connection.set_account("ada@example.com");
    answers.connection.set_state(v1::CONNECTION_STATE_CONNECTED);
    return answers;
  }

  const std::string file_ = Write("provider.yaml",
                                  "displayName: Example\n"
                                  "endpoints: {tokenUrl: \"https://{region}.example.com/token\"}\n"
                                  "client: {authentication: NONE}\n"
                                  "authorization: {parameters: {a: b}}\n"
                                  "urlVariables: [{name: region, value: eu}]\n");
};

TEST_F(OauthRunTest, CommandsSendWhatTheySay) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"oauth-provider create x --issuer https://i.example.com --client-id c",
       R"(CreateOauthProviderRequest {parent: "orgs/dev" oauth_provider_id: "x" oauth_provider { endpoints { issuer: "https://i.example.com" } client { client_id: "c" client_secret: "v" } }})"},
      {"oauth-provider create x --resource https://mcp.example.com/mcp --register --scope a --scope b --display-name X",
       R"(CreateOauthProviderRequest {parent: "orgs/dev" oauth_provider_id: "x" oauth_provider { display_name: "X" endpoints { resource: "https://mcp.example.com/mcp" } client { register_dynamically: true } authorization { scopes: "a" scopes: "b" } }})"},
      {"oauth-provider create orgs/o/oauthProviders/x --dry-run --var region=us -f " + file_,
       R"(CreateOauthProviderRequest {parent: "orgs/o" oauth_provider_id: "x" oauth_provider { display_name: "Example" endpoints { token_url: "https://{region}.example.com/token" } client { authentication: OAUTH_CLIENT_AUTHENTICATION_NONE } authorization { parameters { name: "a" value: "b" } } url_variables { name: "region" value: "us" } } validate_only: true})"},
      {"oauth-provider update x --display-name X --client-id c --scope a",
       R"(UpdateOauthProviderRequest {oauth_provider { name: "orgs/dev/oauthProviders/x" display_name: "X" client { client_id: "c" } authorization { scopes: "a" } } update_mask { paths: "display_name" paths: "client.client_id" paths: "authorization.scopes" }})"},
      {"oauth-provider update x --client-secret-file -",
       R"(UpdateOauthProviderRequest {oauth_provider { name: "orgs/dev/oauthProviders/x" client { client_secret: "v" } } update_mask { paths: "client.client_secret" }})"},
      {"oauth-provider list", R"(ListOauthProvidersRequest {parent: "orgs/dev" page_size: 1000})"},
      {"oauth-provider describe x", R"(GetOauthProviderRequest {name: "orgs/dev/oauthProviders/x"})"},
      {"connection list", R"(ListConnectionsRequest {parent: "orgs/dev" page_size: 1000 all_scopes: true})"},
      {"connection list --me --provider x",
       R"(ListConnectionsRequest {parent: "orgs/dev/users/ada" page_size: 1000 oauth_provider_id: "x"})"},
      {"connection list --org-wide", R"(ListConnectionsRequest {parent: "orgs/dev" page_size: 1000})"},
      {"connection describe x --team eng", R"(GetConnectionRequest {name: "orgs/dev/teams/eng/connections/x"})"},
      {"connection describe x", R"(GetConnectionRequest {name: "orgs/dev/users/ada/connections/x"})"},
      {"connection refresh x --org-wide", R"(RefreshConnectionRequest {name: "orgs/dev/connections/x"})"},
      {"connection disconnect orgs/o/users/u/connections/x --yes",
       R"(DeleteConnectionRequest {name: "orgs/o/users/u/connections/x"})"},
  };
  for (const auto& [line, expected] : cases) {
    EXPECT_EQ(Keyferry(line, "v\n"), 0) << line << ": " << error_;
    EXPECT_EQ(LastRequest(), expected) << line;
  }
}

TEST_F(OauthRunTest, UsageErrors) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"oauth-provider create x", "no definition"},
      {"oauth-provider create x --from google --issuer https://a", "excludes"},
      {"oauth-provider create x --from nowhere", "--from: must be one of atlassian, dropbox, github, google"},
      {"oauth-provider create x --from google --client-secret sekrit", "unknown option --client-secret"},
      {"oauth-provider create x sekrit --from google", "unexpected argument"},
      {"oauth-provider create x --from microsoft --var sekrit", "not of the form NAME=VALUE: --var"},
      {"oauth-provider create x --from microsoft --var tenant=a --var tenant=b", "gives a variable twice: tenant"},
      {"oauth-provider update x", "nothing to change"},
      {"oauth-provider update x --register", "unknown option --register"},
      {"oauth-provider delete x", "add --yes"},
      {"oauth-provider catalogue a b", "unexpected argument"},
      {"oauth-provider catalogue nowhere", "NAME: must be one of atlassian"},
      {"connect", "PROVIDER is required"},
      {"connect x --me --team a", "excludes"},
      {"connect x --org-wide --team a", "excludes"},
      {"connect x --wait soon", "--wait: must be a duration"},
      {"connection disconnect x", "add --yes"},
      {"connection list --me --org-wide", "excludes"},
  };
  for (const auto& [line, expected] : cases) {
    EXPECT_EQ(Keyferry(line, "v"), 64) << line;
    EXPECT_THAT(error_, AllOf(HasSubstr(expected), Not(HasSubstr("sekrit")))) << line;
    EXPECT_EQ(output_, "");
  }
  for (const char* name : {"CreateOauthProviderRequest", "UpdateOauthProviderRequest", "DeleteConnectionRequest",
                           "StartConnectionRequest"}) {
    EXPECT_EQ(CountRequests(name), 0) << name;
  }
}

TEST_F(OauthRunTest, BadDataErrors) {
  const std::string secret = Write("secret.yaml", "client:\n  clientSecret: sekrit\n");
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"oauth-provider create x -f " + secret, "secret.yaml:2:3: `clientSecret` is a secret"},
      {"oauth-provider create x -f /nonexistent.yaml", "cannot open"},
      {"oauth-provider create a/b --from google", "not an id of oauthProviders: a/b"},
      {"oauth-provider create orgs/dev/users/x --from google", "not a provider's resource name"},
      {"oauth-provider create x --from microsoft --var tenants=a", "no such variable: tenants; they have tenant"},
      {"oauth-provider create x --from google --var tenant=a", "no such variable: tenant; they have none"},
      {"oauth-provider describe a/b", "not an id of oauthProviders"},
      {"connect a/b", "not a provider: a/b"},
      {"connection describe orgs/dev/credentials/A", "not a provider"},
  };
  for (const auto& [line, expected] : cases) {
    EXPECT_EQ(Keyferry(line, "v"), 65) << line;
    EXPECT_THAT(error_, AllOf(HasSubstr(expected), Not(HasSubstr("sekrit")))) << line;
  }
  EXPECT_THAT(server_->Requests(), IsEmpty());
}

TEST_F(OauthRunTest, TheClientSecretComesFromStandardInputOrAFileAndIsNeverShown) {
  // Required by the definition.
  EXPECT_EQ(Keyferry("oauth-provider create google --from google --client-id c", "sek&rit\n\n"), 0) << error_;
  EXPECT_THAT(LastRequest(), HasSubstr(R"(client_secret: "sek&rit\n")"));
  EXPECT_THAT(output_ + error_, Not(HasSubstr("sek&rit")));
  EXPECT_THAT(output_, HasSubstr("Has client secret:"));
  const std::string file = Write("secret", "from-file\n");
  EXPECT_EQ(Keyferry("oauth-provider create google --from google --client-secret-file " + file, "ignored"), 0);
  EXPECT_THAT(LastRequest(), HasSubstr(R"(client_secret: "from-file")"));
  // A definition on standard input leaves no place for a secret.
  EXPECT_EQ(Keyferry("oauth-provider create x -f -", "client: {authentication: CLIENT_SECRET_POST}"), 64);
  EXPECT_THAT(error_, HasSubstr("--client-secret-file"));
  EXPECT_EQ(Keyferry("oauth-provider create x -f - --client-secret-file " + file,
                     "client: {authentication: CLIENT_SECRET_POST}"),
            0);
  EXPECT_EQ(Keyferry("oauth-provider create x -f -", "displayName: Public"), 0) << error_;
  EXPECT_THAT(LastRequest(), Not(HasSubstr("client_secret")));
  // Where the definition leaves it open, none means a public client.
  EXPECT_EQ(Keyferry("oauth-provider create x --issuer https://a.example.com", ""), 0) << error_;
  EXPECT_THAT(LastRequest(), Not(HasSubstr("client_secret")));
  const size_t sent = server_->Requests().size();
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "the client secret is empty: standard input; give the client secret there"},
      {"\n", "the client secret is empty"},
      {std::string(4097, 's'), "longer than 4096 bytes"},
      {std::string("sss\0sss", 7), "is not a text"},
      {"sss\xff", "is not a text"},
  };
  for (const auto& [input, expected] : cases) {
    EXPECT_EQ(Keyferry("oauth-provider create google --from google", input), 65);
    EXPECT_THAT(error_, AllOf(HasSubstr(expected), Not(HasSubstr("sss"))));
  }
  EXPECT_EQ(server_->Requests().size(), sent);
  EXPECT_EQ(Keyferry("oauth-provider create google --from google", std::string(4096, 's') + "\n"), 0) << error_;
}

TEST_F(OauthRunTest, OtherSecretsComeFromFilesOfTheirOwn) {
  const std::string key = Write("key.pem", "-----BEGIN PRIVATE KEY-----\nsekrit\n-----END PRIVATE KEY-----\n");
  const std::string token = Write("registration", "reg-sekrit\n");
  const std::string tls = Write("tls.yaml", "client: {authentication: TLS_CLIENT_AUTH, certificate: PEM}\n");
  EXPECT_EQ(Keyferry("oauth-provider create x --certificate-key-file " + key + " -f " + tls), 0) << error_;
  EXPECT_THAT(LastRequest(), HasSubstr("certificate_private_key: \"-----BEGIN PRIVATE KEY-----\\nsekrit"));
  EXPECT_EQ(Keyferry("oauth-provider create x --register --registration-token-file " + token +
                     " --resource https://mcp.example.com"),
            0)
      << error_;
  EXPECT_THAT(LastRequest(), HasSubstr(R"(registration_token: "reg-sekrit")"));
}

TEST_F(OauthRunTest, CreateSaysWhatToRegister) {
  EXPECT_EQ(Keyferry("oauth-provider create google --from google --client-id c", "s"), 0) << error_;
  EXPECT_THAT(output_, AllOf(HasSubstr("orgs/dev/oauthProviders/google"), HasSubstr("\nendpoints\n"),
                             HasSubstr("https://oauth2.googleapis.com/token")));
  const std::string callback = "https://keyferry.example.com/oauth/callback/00112233445566778899aabbccddeeff";
  const std::string note = absl::StrCat("keyferry: note: register this redirect URI at the provider: ", callback, "\n");
  EXPECT_EQ(error_, note);
  const std::string file = Write("jwt.yaml", "client: {authentication: PRIVATE_KEY_JWT}\n");
  EXPECT_EQ(Keyferry("-o json oauth-provider create okta -f " + file), 0) << error_;
  EXPECT_EQ(Json()["callbackUrl"], callback);
  EXPECT_THAT(error_, HasSubstr("register this key set at the provider: {\"keys\":[]}\n"));
  EXPECT_EQ(Keyferry("oauth-provider create google --from google --dry-run", "s"), 0) << error_;
  EXPECT_EQ(error_, absl::StrCat("keyferry: note: a dry run; nothing was changed\n", note));
}

TEST_F(OauthRunTest, EveryDefinitionOfTheCatalogueCanBeCreated) {
  EXPECT_EQ(Keyferry("-o json oauth-provider catalogue"), 0) << error_;
  const nlohmann::json all = Json();
  ASSERT_EQ(all.size(), 10u);
  for (const nlohmann::json& one : all) {
    const std::string name = one["name"];
    EXPECT_EQ(Keyferry("oauth-provider create " + name + " --client-id c --from " + name, "s"), 0) << error_;
    EXPECT_THAT(LastRequest(), HasSubstr("oauth_provider_id: \"" + name + "\""));
    // What is printed is a file that makes the same.
    const std::string made = LastRequest();
    EXPECT_EQ(Keyferry("oauth-provider catalogue " + name), 0) << error_;
    EXPECT_THAT(output_, HasSubstr("# Source"));
    EXPECT_EQ(Keyferry("oauth-provider create " + name + " --client-id c -f " + Write("copy.yaml", output_), "s"), 0);
    EXPECT_EQ(LastRequest(), made);
  }
}

TEST_F(OauthRunTest, ANewDefinitionKeepsWhatTheOrganizationChose) {
  TestOauthAnswers answers;
  answers.provider.mutable_client()->set_client_id("stored");
  answers.provider.mutable_authorization()->add_scopes("stored.scope");
  v1::OauthUrlVariable* tenant = answers.provider.add_url_variables();
  tenant->set_name("tenant");
  tenant->set_value("contoso");
  server_->SetOauthAnswers(answers);
  EXPECT_EQ(Keyferry("oauth-provider update microsoft --from microsoft"), 0) << error_;
  std::string request = LastRequest();
  EXPECT_THAT(request, AllOf(HasSubstr(R"(etag: "etag-1")"), HasSubstr(R"(value: "contoso")"),
                             HasSubstr(R"(scopes: "stored.scope" pkce)"), HasSubstr(R"(paths: "endpoints")"),
                             HasSubstr(R"(paths: "client.authentication")"), Not(HasSubstr("client.client_secret")),
                             Not(HasSubstr("client_id")), Not(HasSubstr("paths: \"name\"")),
                             Not(HasSubstr("paths: \"etag\"")), Not(HasSubstr("register_dynamically"))));
  EXPECT_EQ(Keyferry("oauth-provider update microsoft --from microsoft --scope mine --var tenant=fabrikam"), 0);
  EXPECT_THAT(LastRequest(), AllOf(HasSubstr(R"(scopes: "mine" pkce)"), HasSubstr(R"(value: "fabrikam")")));
  // A file says what it says.
  EXPECT_EQ(Keyferry("oauth-provider update microsoft -f " + Write("f.yaml",
                                                                   "client: {clientId: new}\n"
                                                                   "urlVariables: [{name: tenant}]\n")),
            0);
  EXPECT_THAT(LastRequest(), AllOf(HasSubstr(R"(value: "contoso")"), Not(HasSubstr("stored.scope")),
                                   HasSubstr(R"(paths: "client.client_id")")));
  // A variable alone changes nothing else.
  EXPECT_EQ(Keyferry("oauth-provider update microsoft --var tenant=fabrikam"), 0) << error_;
  EXPECT_EQ(
      LastRequest(),
      R"(UpdateOauthProviderRequest {oauth_provider { name: "orgs/dev/oauthProviders/microsoft" url_variables { name: "tenant" value: "fabrikam" } etag: "etag-1" } update_mask { paths: "url_variables" }})");
}

TEST_F(OauthRunTest, AnUpdateThatMovesAnEndpointAsksFirst) {
  TestOauthAnswers answers;
  answers.outdated_connections = 4;
  server_->SetOauthAnswers(answers);
  input_is_terminal_ = true;
  EXPECT_EQ(Keyferry("oauth-provider update x --issuer https://new.example.com", "n\n"), 1);
  EXPECT_THAT(error_, AllOf(HasSubstr("Connections that have to be made anew: 4\n"), HasSubstr("not confirmed")));
  EXPECT_THAT(server_->Requests(),
              Not(Contains(AllOf(StartsWith("UpdateOauthProviderRequest"), Not(HasSubstr("validate_only: true"))))));
  EXPECT_EQ(Keyferry("oauth-provider update x --issuer https://new.example.com", "y\n"), 0) << error_;
  EXPECT_THAT(LastRequest(), Not(HasSubstr("validate_only")));
  input_is_terminal_ = false;
  EXPECT_EQ(Keyferry("oauth-provider update x --var a=b"), 65) << "the provider has no such variable";
  EXPECT_EQ(Keyferry("oauth-provider update x --issuer https://new.example.com"), 64);
  EXPECT_THAT(error_, HasSubstr("add --yes"));
  EXPECT_EQ(Keyferry("oauth-provider update x --issuer https://new.example.com --yes"), 0) << error_;
  EXPECT_THAT(error_, HasSubstr("keyferry: note: connections that have to be made anew: 4;"));
  const int before = CountRequests("UpdateOauthProviderRequest");
  EXPECT_EQ(Keyferry("oauth-provider update x --display-name X"), 0) << error_;
  EXPECT_EQ(CountRequests("UpdateOauthProviderRequest"), before + 1) << "what cannot move is not tried first";
}

TEST_F(OauthRunTest, DeletingAProviderSaysFirstWhoIsAffected) {
  TestOauthAnswers answers;
  answers.affected.add_shared_connections("orgs/dev/teams/eng/connections/google");
  answers.affected.set_user_connection_count(3);
  answers.affected.add_mcp_servers("orgs/dev/mcpServers/drive");
  answers.affected.set_process_count(2);
  server_->SetOauthAnswers(answers);
  input_is_terminal_ = true;
  EXPECT_EQ(Keyferry("oauth-provider delete google", "n\n"), 1);
  EXPECT_THAT(error_, AllOf(HasSubstr("Connections that end: orgs/dev/teams/eng/connections/google\n"),
                            HasSubstr("People whose connections end: 3\n"),
                            HasSubstr("These MCP servers bind google: orgs/dev/mcpServers/drive\n"),
                            HasSubstr("Processes that run with a token of it now: 2\n"), HasSubstr("not confirmed")));
  EXPECT_THAT(server_->Requests(),
              Not(Contains(AllOf(StartsWith("DeleteOauthProviderRequest"), Not(HasSubstr("validate_only: true"))))));
  EXPECT_EQ(Keyferry("oauth-provider delete google", "y\n"), 0) << error_;
  EXPECT_EQ(LastRequest(), R"(DeleteOauthProviderRequest {name: "orgs/dev/oauthProviders/google" etag: "etag-1"})");
  input_is_terminal_ = false;
  EXPECT_EQ(Keyferry("-o json oauth-provider delete google --yes"), 0) << error_;
  EXPECT_THAT(error_, HasSubstr("People whose connections end: 3\n"));
  EXPECT_EQ(Json()["deleted"], "orgs/dev/oauthProviders/google");
}

TEST_F(OauthRunTest, CheckShowsFindingsAndFailsOnErrors) {
  TestOauthAnswers answers;
  v1::OauthFinding* finding = answers.check.add_findings();
  finding->set_severity(v1::OAUTH_FINDING_SEVERITY_ERROR);
  finding->set_subject("token_url");
  finding->set_message("does not resolve");
  finding->set_next_step("Correct the host.");
  server_->SetOauthAnswers(answers);
  EXPECT_EQ(Keyferry("oauth-provider check google"), 1);
  EXPECT_EQ(output_,
            "SEVERITY  SUBJECT    FINDING           NEXT-STEP\n"
            "ERROR     token_url  does not resolve  Correct the host.\n");
  EXPECT_THAT(error_, HasSubstr("cannot be used as it is: orgs/dev/oauthProviders/google"));
  answers.check.set_healthy(true);
  server_->SetOauthAnswers(answers);
  EXPECT_EQ(Keyferry("-o json oauth-provider check google"), 0) << error_;
  EXPECT_EQ(Json()["findings"][0]["subject"], "token_url");
}

TEST_F(OauthRunTest, ConnectShowsThePageAndWaits) {
  server_->SetOauthAnswers(WithAttempts({v1::CONNECTION_ATTEMPT_STATE_PENDING, v1::CONNECTION_ATTEMPT_STATE_PENDING,
                                         v1::CONNECTION_ATTEMPT_STATE_SUCCEEDED}));
  EXPECT_EQ(Keyferry("connect github --var region=eu --scope a --scope b"), 0) << error_;
  EXPECT_THAT(
      server_->Requests(),
      Contains(
          R"(StartConnectionRequest {parent: "orgs/dev/users/ada" oauth_provider_id: "github" url_variables { key: "region" value: "eu" } scopes: "a" scopes: "b"})"));
  EXPECT_THAT(error_, AllOf(HasSubstr("Open this page in a browser: https://keyferry.example.com/connect/s3cret\n"),
                            HasSubstr("WXYZ-1234"), HasSubstr("Connected to github as ada@example.com.\n")));
  EXPECT_THAT(output_, AllOf(HasSubstr("orgs/dev/users/ada/connections/github"), Not(HasSubstr("s3cret"))));
  EXPECT_EQ(CountRequests("GetConnectionAttemptRequest"), 3);
  EXPECT_EQ(now_, absl::FromUnixSeconds(4002));
}

TEST_F(OauthRunTest, ConnectOpensTheBrowserUnlessToldNotTo) {
  has_browser_ = true;
  server_->SetOauthAnswers(WithAttempts({v1::CONNECTION_ATTEMPT_STATE_SUCCEEDED}));
  EXPECT_EQ(Keyferry("-o json connect github --team eng"), 0) << error_;
  EXPECT_THAT(opened_, ElementsAre("https://keyferry.example.com/connect/s3cret"));
  EXPECT_THAT(error_, HasSubstr("Your browser opens this page: https://keyferry.example.com/connect/s3cret\n"));
  EXPECT_EQ(Json()["name"], "orgs/dev/teams/eng/connections/github");
  opened_.clear();
  EXPECT_EQ(Keyferry("connect github --no-browser --org-wide"), 0) << error_;
  EXPECT_THAT(opened_, IsEmpty());
  EXPECT_THAT(output_, HasSubstr("orgs/dev/connections/github"));
}

TEST_F(OauthRunTest, ConnectWithoutAPersonReturnsAtOnce) {
  has_browser_ = true;
  EXPECT_EQ(Keyferry("connect auth0 --org-wide"), 0) << error_;
  EXPECT_THAT(opened_, IsEmpty());
  EXPECT_EQ(CountRequests("GetConnectionAttemptRequest"), 0);
  EXPECT_EQ(error_, "Connected to auth0.\n");
  EXPECT_THAT(output_, HasSubstr("orgs/dev/connections/auth0"));
}

TEST_F(OauthRunTest, ConnectSaysWhyItFailed) {
  TestOauthAnswers answers = WithAttempts({v1::CONNECTION_ATTEMPT_STATE_FAILED});
  answers.attempts[0].set_error("You declined.\x1b[2J Connect again.");
  server_->SetOauthAnswers(answers);
  EXPECT_EQ(Keyferry("connect github"), 1);
  EXPECT_THAT(error_, AllOf(HasSubstr("not connected: github: You declined."), Not(HasSubstr("\x1b"))));
  EXPECT_EQ(output_, "");
  server_->SetOauthAnswers(WithAttempts({v1::CONNECTION_ATTEMPT_STATE_EXPIRED}));
  EXPECT_EQ(Keyferry("connect github"), 1);
  EXPECT_THAT(error_, HasSubstr("nobody consented in time"));
  EXPECT_EQ(CountRequests("GetConnectionRequest"), 0);
}

TEST_F(OauthRunTest, ConnectWaitsNoLongerThanAsked) {
  server_->SetOauthAnswers(WithAttempts({v1::CONNECTION_ATTEMPT_STATE_PENDING}));
  EXPECT_EQ(Keyferry("connect github --wait 150s"), 1);
  EXPECT_EQ(now_, absl::FromUnixSeconds(4150));
  EXPECT_THAT(error_, AllOf(HasSubstr("Still waiting, 1m30s left.\n"), HasSubstr("nobody has consented yet")));
}

TEST_F(OauthRunTest, ConnectOutlivesARestartOfTheServer) {
  TestOauthAnswers answers = WithAttempts({v1::CONNECTION_ATTEMPT_STATE_SUCCEEDED});
  answers.unavailable_attempts = 3;
  server_->SetOauthAnswers(answers);
  // Each call gives up before it is tried again.
  EXPECT_EQ(Keyferry("connect github --timeout 1s"), 0) << error_;
  answers = WithAttempts({v1::CONNECTION_ATTEMPT_STATE_PENDING});
  server_->SetOauthAnswers(answers);
  server_->Fail(grpc::StatusCode::PERMISSION_DENIED, "no", nullptr, /*times=*/100);
  EXPECT_EQ(Keyferry("connect github"), 77);
}

TEST_F(OauthRunTest, DisconnectingSaysFirstWhatLosesAccess) {
  server_->SetOauthAnswers(WithAttempts({v1::CONNECTION_ATTEMPT_STATE_SUCCEEDED}));
  v1::CredentialRollout rollout;
  rollout.set_current_count(1);
  rollout.add_mcp_servers("orgs/dev/mcpServers/drive");
  v1::Process* process = rollout.add_processes()->mutable_process();
  process->set_mcp_server("orgs/dev/mcpServers/drive");
  process->mutable_info()->set_host("host-1");
  process->mutable_info()->set_pid(7);
  server_->SetRollouts({rollout});
  input_is_terminal_ = true;
  EXPECT_EQ(Keyferry("connection disconnect google --org-wide", "n\n"), 1);
  EXPECT_THAT(error_, AllOf(HasSubstr("These MCP servers bind google: orgs/dev/mcpServers/drive\n"),
                            HasSubstr("Processes that run with it now: 1\n"),
                            HasSubstr("  orgs/dev/mcpServers/drive on host-1, pid 7\n"),
                            HasSubstr("Connected as ada@example.com\n"),
                            HasSubstr("Revoke the tokens of orgs/dev/connections/google"), HasSubstr("not confirmed")));
  EXPECT_EQ(CountRequests("DeleteConnectionRequest"), 0);
  EXPECT_EQ(Keyferry("connection disconnect google --org-wide", "y\n"), 0) << error_;
  EXPECT_EQ(LastRequest(), R"(DeleteConnectionRequest {name: "orgs/dev/connections/google"})");
  EXPECT_EQ(Keyferry("-o json connection disconnect google --yes"), 0) << error_;
  EXPECT_EQ(Json()["disconnected"], "orgs/dev/users/ada/connections/google");
}

TEST_F(OauthRunTest, MyCredentialsSayHowToConnect) {
  EXPECT_EQ(Keyferry("credential list --mine"), 0) << error_;
  EXPECT_EQ(error_, "");
  server_->NeedConnection("GOOGLE_TOKEN", "google");
  EXPECT_EQ(Keyferry("credential list --mine"), 0) << error_;
  EXPECT_THAT(output_, HasSubstr("GOOGLE_TOKEN  CONNECT_NEEDED"));
  EXPECT_EQ(error_, "keyferry: note: GOOGLE_TOKEN needs a connection: run `keyferry connect google`\n");
}

TEST_F(OauthRunTest, HelpTellsWhatScriptsNeed) {
  EXPECT_EQ(Keyferry("oauth-provider create --help"), 0);
  EXPECT_THAT(output_, AllOf(HasSubstr("standard input"), HasSubstr("--client-secret-file"), HasSubstr("--register")));
  EXPECT_EQ(Keyferry("connect --help"), 0);
  EXPECT_THAT(output_, AllOf(HasSubstr("Usage: keyferry connect"), HasSubstr("--org-wide"), HasSubstr("Ctrl-C")));
  EXPECT_EQ(Keyferry("oauth-provider catalogue --help"), 0);
  EXPECT_THAT(output_, HasSubstr("[NAME]"));
}

}  // namespace
}  // namespace keyferry::client::cli
