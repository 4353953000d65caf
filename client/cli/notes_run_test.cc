// What commands tell people besides what they were asked for: what to do next, and what was not done.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "client/cli/run_fixture.h"
#include "gmock/gmock.h"

namespace keyferry::client::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class NotesRunTest : public RunTest {};

TEST_F(NotesRunTest, RefusedConditionsAreCalledAsTheirOptions) {
  const auto refuse = [&](const std::string& line, const std::string& field, const std::string& next_step) {
    v1::ErrorDetail detail;
    detail.set_reason("INVALID_FIELD");
    detail.set_field(field);
    detail.set_next_step(next_step);
    server_->Fail(grpc::StatusCode::INVALID_ARGUMENT, field + ": wrong", &detail);
    EXPECT_EQ(Keyferry(line), 65) << line;
    return error_;
  };
  const std::string order = "Use `name`, with ` desc` after it if you like.";
  const std::string refused = "keyferry: --sort: wrong; Use `name`, with `:desc` after it if you like.\n";
  EXPECT_EQ(refuse("credential list --sort x", "order_by", order), refused);
  EXPECT_EQ(refuse("credential list --mine --sort x", "order_by", order), refused);
  EXPECT_EQ(refuse("credential list --name -", "filter.id_pattern", "Do."), "keyferry: --name: wrong; Do.\n");
  EXPECT_EQ(refuse("credential list --mine --name -", "id_pattern", "Do."), "keyferry: --name: wrong; Do.\n");
}

TEST_F(NotesRunTest, ApplySaysHowMissingConnectionsAreMade) {
  const std::string file = Write("s.yaml",
                                 "id: github\ntransport: HTTP\nenv:\n"
                                 "  - {name: A, oauth: absent}\n"
                                 "  - {name: B, oauth: pinned, overridable: false}\n"
                                 "  - {name: C, oauth: own}\n");
  EXPECT_EQ(Keyferry("mcp-server apply -f " + file), 0) << error_;
  EXPECT_THAT(error_, AllOf(HasSubstr("are not stored yet: GITHUB_TOKEN; store each with `keyferry credential create"),
                            HasSubstr("an ADMIN adds it with `keyferry oauth-provider create absent`\n"),
                            HasSubstr("an ADMIN makes it with `keyferry connect pinned --org-wide`\n"),
                            HasSubstr("; ada connects with `keyferry connect own`\n")));
}

TEST_F(NotesRunTest, AnExplanationSaysWhoSetAValueAndWhatStandsInTheWay) {
  EXPECT_EQ(Keyferry("explain github"), 0) << error_;
  EXPECT_THAT(output_, HasSubstr("SCOPE  OUTCOME  VERSION  UPDATED  UPDATER  CREDENTIAL\n"
                                 "ORG    CHOSEN   0        -        root     orgs/dev/credentials/GITHUB_TOKEN\n"));
  EXPECT_THAT(output_, HasSubstr("A launch would get every required variable.\n"));
  EXPECT_EQ(Keyferry("explain refused"), 0) << error_;
  EXPECT_THAT(output_, HasSubstr("A launch would fail because of PATH, UNSET; see above why.\n"));
}

TEST_F(NotesRunTest, RevokingWhatIsNotGrantedChangesNothingAndSaysWhatIsGranted) {
  const std::string granted =
      "; orgs/dev/workloads/w is granted orgs/dev/mcpServers/a, --can-use-sessions, --spiffe-id spiffe://prod/a\n";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"workload revoke w b", "orgs/dev/mcpServers/b"},
      {"workload revoke w a eng/a", "orgs/dev/teams/eng/mcpServers/a"},
      {"workload revoke w --spiffe-id spiffe://prod/b", "--spiffe-id spiffe://prod/b"},
      {"workload revoke w --issuer c --namespace n --service-account s --pod-uid u",
       "--issuer c --namespace n --service-account s --pod-uid u"},
  };
  for (const auto& [line, absent] : cases) {
    EXPECT_EQ(Keyferry(line), 1) << line;
    EXPECT_EQ(error_, "keyferry: not granted, and nothing was changed: " + absent + granted);
  }
  EXPECT_THAT(server_->Requests(), Not(testing::Contains(StartsWith("UpdateWorkloadRequest"))));
}

TEST_F(NotesRunTest, AGrantOfAnAbsentMcpServerIsNoted) {
  const std::string note = "keyferry: note: there is no MCP server orgs/dev/mcpServers/nope yet";
  for (const char* line : {"workload grant w nope b", "workload create w --mcp-server nope --mcp-server b"}) {
    EXPECT_EQ(Keyferry(line), 0) << error_;
    EXPECT_THAT(error_, StartsWith(note));
    EXPECT_EQ(std::count(error_.begin(), error_.end(), '\n'), 1) << error_;
  }
  EXPECT_EQ(Keyferry("workload grant w b"), 0);
  EXPECT_EQ(error_, "");
}

TEST_F(NotesRunTest, MyCredentialsSayThatAProviderIsNotThere) {
  server_->NeedConnection("GOOGLE_TOKEN", "google");
  TestOauthAnswers answers;
  answers.no_provider = true;
  server_->SetOauthAnswers(answers);
  EXPECT_EQ(Keyferry("credential list --mine"), 0) << error_;
  EXPECT_THAT(error_, AllOf(HasSubstr("the organization has no OAuth provider `google`"),
                            HasSubstr("`keyferry oauth-provider create`"), Not(HasSubstr("keyferry connect"))));
}

TEST_F(NotesRunTest, WhatIsNotConnectedSaysHowToConnect) {
  TestOauthAnswers answers;
  answers.no_connection = true;
  server_->SetOauthAnswers(answers);
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"gh", "orgs/dev/users/ada/connections/gh; run `keyferry connect gh`"},
      {"gh --team eng", "orgs/dev/teams/eng/connections/gh; run `keyferry connect gh --team eng`"},
      {"gh --org-wide", "orgs/dev/connections/gh; run `keyferry connect gh --org-wide`"},
  };
  for (const auto& [arguments, expected] : cases) {
    for (const char* command : {"connection refresh ", "connection describe "}) {
      EXPECT_EQ(Keyferry(command + arguments), 1) << arguments;
      EXPECT_EQ(error_, "keyferry: not connected: " + expected + "\n");
    }
  }
}

TEST_F(NotesRunTest, AClientSecretThatIsNeverSentIsNoted) {
  const std::string line = "oauth-provider update x --client-secret-file -";
  TestOauthAnswers answers;
  answers.provider.mutable_client()->set_authentication(v1::OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_POST);
  server_->SetOauthAnswers(answers);
  EXPECT_EQ(Keyferry(line, "v"), 0);
  EXPECT_EQ(error_, "");
  answers.provider.mutable_client()->set_authentication(v1::OAUTH_CLIENT_AUTHENTICATION_NONE);
  server_->SetOauthAnswers(answers);
  EXPECT_EQ(Keyferry(line, "v"), 0);
  EXPECT_THAT(error_, HasSubstr("keyferry: note: the client secret is stored but never sent"));
  EXPECT_EQ(Keyferry("oauth-provider update x --display-name X"), 0);
  EXPECT_EQ(error_, "");
}

TEST_F(NotesRunTest, DescribeLeavesOutWhatIsNotSet) {
  TestOauthAnswers answers;
  answers.provider.mutable_token()->mutable_response()->add_metadata()->set_name("id");
  server_->SetOauthAnswers(answers);
  EXPECT_EQ(Keyferry("oauth-provider describe google"), 0) << error_;
  EXPECT_THAT(output_, AllOf(HasSubstr("Response:"), Not(HasSubstr("UNSPECIFIED"))));
}

}  // namespace
}  // namespace keyferry::client::cli
