// Runs the real `keyferry` against the real `keyferryd`, both as processes, over TLS.

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace keyferry::client {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

std::string ReadText(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// Starts a program with the given standard streams and KEYFERRY_ variables, and nothing else of the environment.
pid_t Start(const std::vector<std::string>& words, const std::map<std::string, std::string>& variables, int input,
            int output, int error) {
  const pid_t pid = fork();
  if (pid != 0) return pid;
  dup2(input, 0);
  dup2(output, 1);
  dup2(error, 2);
  std::vector<std::string> pairs;
  for (const auto& [name, value] : variables) pairs.push_back(absl::StrCat(name, "=", value));
  std::vector<char*> arguments;
  std::vector<char*> environment;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  for (const std::string& pair : pairs) environment.push_back(const_cast<char*>(pair.c_str()));
  arguments.push_back(nullptr);
  environment.push_back(nullptr);
  execve(arguments[0], arguments.data(), environment.data());
  _exit(126);
}

class CliEndToEndTest : public testing::Test {
 protected:
  CliEndToEndTest() {
    std::string pattern = testing::TempDir() + "/endXXXXXX";
    folder_ = mkdtemp(pattern.data());
    int ready[2];
    EXPECT_EQ(pipe2(ready, O_CLOEXEC), 0);
    const int log = open((folder_ + "/log").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    server_ = Start({"server/keyferryd", "--dev", "--data-dir", folder_ + "/data", "--listen", "127.0.0.1:0"}, {},
                    nothing, ready[1], log);
    close(ready[1]);
    // The ready line, or the end of the pipe if the server failed.
    char c = 0;
    while (read(ready[0], &c, 1) == 1 && c != '\n') {
    }
    EXPECT_EQ(c, '\n') << ReadText(folder_ + "/log");
    close(ready[0]);
    close(log);
    close(nothing);
    const std::string dev = folder_ + "/data/dev";
    admin_ = {{"KEYFERRY_ADDRESS", Trimmed(ReadText(dev + "/address"))},
              {"KEYFERRY_CA_FILE", dev + "/ca.pem"},
              {"KEYFERRY_TOKEN_FILE", dev + "/admin.token"},
              {"KEYFERRY_ORG", "dev"}};
    variables_ = admin_;
  }

  ~CliEndToEndTest() override {
    kill(server_, SIGTERM);
    int status = 0;
    waitpid(server_, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << ReadText(folder_ + "/log");
  }

  static std::string Trimmed(std::string text) {
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
  }

  // Runs words separated by spaces with `input` on standard input; answers the exit code.
  int Keyferry(const std::string& line, const std::string& input = "") {
    std::vector<std::string> words = absl::StrSplit("client/keyferry " + line, ' ', absl::SkipEmpty());
    std::ofstream(folder_ + "/in") << input;
    const int in = open((folder_ + "/in").c_str(), O_RDONLY | O_CLOEXEC);
    const int out = open((folder_ + "/out").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const int err = open((folder_ + "/err").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int status = 0;
    waitpid(Start(words, variables_, in, out, err), &status, 0);
    for (const int fd : {in, out, err}) close(fd);
    output_ = ReadText(folder_ + "/out");
    error_ = ReadText(folder_ + "/err");
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  nlohmann::json Json(const std::string& line) {
    EXPECT_EQ(Keyferry(line + " -o json"), 0) << line << ": " << error_;
    nlohmann::json json = nlohmann::json::parse(output_, nullptr, /*allow_exceptions=*/false);
    return json.is_discarded() ? nlohmann::json() : json;
  }

  std::string Write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ + "/" + name) << text;
    return folder_ + "/" + name;
  }

  // Makes a user and leaves their token's file name, as an administrator.
  std::string AddUser(const std::string& id) {
    variables_ = admin_;
    EXPECT_EQ(Keyferry("user create " + id), 0) << error_;
    const std::string path = folder_ + "/" + id + ".token";
    std::ofstream(path) << Json("token create --user " + id)["token"].get<std::string>() << "\n";
    chmod(path.c_str(), 0600);
    return path;
  }

  void ActAs(const std::string& token_file) { variables_["KEYFERRY_TOKEN_FILE"] = token_file; }

  std::string folder_;
  pid_t server_ = -1;
  std::map<std::string, std::string> admin_;
  std::map<std::string, std::string> variables_;
  std::string output_;
  std::string error_;
};

TEST_F(CliEndToEndTest, CredentialLifeAtEveryScope) {
  const std::string ada = AddUser("ada");
  EXPECT_EQ(Keyferry("team create eng"), 0) << error_;
  EXPECT_EQ(Keyferry("team add-member eng ada --role owner"), 0) << error_;
  EXPECT_EQ(Keyferry("credential create GITHUB_TOKEN --description shared", "org-sekrit\n"), 0) << error_;
  EXPECT_EQ(Keyferry("credential create GITHUB_TOKEN", "again\n"), 1);
  ActAs(ada);
  EXPECT_EQ(Keyferry("credential create GITHUB_TOKEN --team eng", "team-sekrit\n"), 0) << error_;
  EXPECT_EQ(Keyferry("credential create GITHUB_TOKEN --me", "own-sekrit\n"), 0) << error_;
  EXPECT_EQ(Json("credential list --me")[0]["name"], "orgs/dev/users/ada/credentials/GITHUB_TOKEN");
  const nlohmann::json mine = Json("credential list --mine");
  ASSERT_EQ(mine.size(), 1u);
  EXPECT_EQ(mine[0]["status"], "MY_CREDENTIAL_STATUS_SET_BY_ME");
  EXPECT_EQ(Keyferry("credential rotate GITHUB_TOKEN --me --grace 1h", "new-sekrit\n"), 0) << error_;
  EXPECT_EQ(Json("credential describe GITHUB_TOKEN --me")["version"], "2");
  EXPECT_EQ(Json("credential rollback GITHUB_TOKEN --me")["version"], "3");
  const std::string etag = Json("credential describe GITHUB_TOKEN --me")["etag"];
  EXPECT_EQ(Json("credential update GITHUB_TOKEN --me --description d --etag " + etag)["description"], "d");
  for (const std::string line : {"rotate", "rollback", "delete --yes", "update --description e"}) {
    EXPECT_EQ(Keyferry("credential " + line + " GITHUB_TOKEN --me --etag " + etag, "sekrit"), 1) << line;
    EXPECT_THAT(error_, HasSubstr("changed since its etag was read")) << line;
  }
  EXPECT_EQ(Keyferry("credential update GITHUB_TOKEN --me --rotate-by 2020-01-31"), 0) << error_;
  EXPECT_EQ(Keyferry("credential rotate GITHUB_TOKEN --me", "sekrit"), 0) << error_;
  EXPECT_THAT(error_, HasSubstr("its rotate-by date has passed: 2020-01-31"));
  EXPECT_EQ(Keyferry("credential rotate GITHUB_TOKEN --me --rotate-by 2199-01-31", "sekrit"), 0) << error_;
  EXPECT_THAT(error_, Not(HasSubstr("rotate-by")));
  EXPECT_EQ(Json("credential describe GITHUB_TOKEN --me")["rotateBy"], "2199-01-31T00:00:00Z");
  EXPECT_EQ(Keyferry("credential delete GITHUB_TOKEN --me"), 64);
  EXPECT_EQ(Keyferry("credential delete GITHUB_TOKEN --me --yes"), 0) << error_;
  EXPECT_EQ(Keyferry("credential describe GITHUB_TOKEN --me"), 1);
  EXPECT_THAT(error_, AllOf(HasSubstr("keyferry: "), HasSubstr("orgs/dev/users/ada/credentials/GITHUB_TOKEN")));
  // An ordinary member sees the organization's credential and cannot change it.
  EXPECT_EQ(Keyferry("credential describe GITHUB_TOKEN"), 0) << error_;
  EXPECT_EQ(Keyferry("credential rotate GITHUB_TOKEN", "stolen"), 77);
  EXPECT_EQ(Keyferry("credential update GITHUB_TOKEN --team eng --description changed"), 0) << error_;
  EXPECT_EQ(Json("credential describe GITHUB_TOKEN --team eng")["description"], "changed");
  EXPECT_THAT(ReadText(folder_ + "/log"), Not(HasSubstr("sekrit")));
}

TEST_F(CliEndToEndTest, FilesOfCredentialsAndConditions) {
  const std::string file = "export A='se\nkrit'\nB=\"sekrit \\$\" # note\nC=sekrit\n";
  EXPECT_EQ(Json("credential import --dry-run -f " + Write("a.env", file)).size(), 3u);
  EXPECT_EQ(Json("credential list").size(), 0u);
  EXPECT_EQ(Keyferry("credential import -f -", file), 0) << error_;
  EXPECT_EQ(Keyferry("credential import -f -", "C=x\nD=sekrit\n"), 1);
  EXPECT_THAT(error_, HasSubstr("orgs/dev/credentials/C: already exists"));
  const nlohmann::json skipped = Json("credential import --on-conflict skip -f " + Write("b.env", "C=x\nD=sekrit\n"));
  EXPECT_EQ(skipped[0]["action"], "IMPORT_ACTION_SKIP");
  EXPECT_EQ(skipped[1]["action"], "IMPORT_ACTION_CREATE");
  const std::string json = Write("c.json", R"({"A": {"value": "sekrit-2", "rotateBy": "2020-01-01"}})");
  EXPECT_EQ(Json("credential import --on-conflict rotate -f " + json)[0]["version"], "2");
  EXPECT_EQ(Json("credential list --overdue").size(), 1u);
  EXPECT_EQ(Json("credential list --name ?").size(), 4u);
  EXPECT_EQ(Json("credential list --unused-since 1h").size(), 0u);
  EXPECT_EQ(Json("credential list --scope org --scope user --sort name:desc")[0]["name"], "orgs/dev/credentials/D");
  const nlohmann::json rotated = Json("credential rotate-many -f " + Write("d.yaml", "B: sekrit-2\nC: sekrit-2\n"));
  EXPECT_EQ(rotated[1]["version"], "2");
  EXPECT_EQ(Keyferry("credential rotate-many -f -", "A=sekrit\nABSENT=sekrit\n"), 1);
  EXPECT_EQ(Json("credential describe A")["version"], "2");
  const nlohmann::json exported = Json("credential export");
  EXPECT_EQ(exported.size(), 4u);
  EXPECT_EQ(exported[0]["rotateBy"], "2020-01-01T00:00:00Z");
  EXPECT_EQ(exported[0].count("value"), 0u);
  EXPECT_THAT(output_ + ReadText(folder_ + "/log"), Not(HasSubstr("krit")));
}

TEST_F(CliEndToEndTest, NamesThatChangeHowAProcessStartsNeedAnAdminsPermission) {
  EXPECT_EQ(Keyferry("credential create NODE_OPTIONS", "v"), 65);
  EXPECT_THAT(error_, HasSubstr("keyferry org allow-name"));
  EXPECT_EQ(Keyferry("org allow-name KEYFERRY_TOKEN"), 65);
  EXPECT_EQ(Json("org allow-name NODE_OPTIONS")["allowedVariableNames"][0], "NODE_OPTIONS");
  EXPECT_EQ(Keyferry("credential create NODE_OPTIONS", "v"), 0) << error_;
  EXPECT_EQ(Json("org disallow-name NODE_OPTIONS")["allowedVariableNames"].size(), 0u);
  EXPECT_EQ(Keyferry("credential rotate NODE_OPTIONS", "v"), 65);
  EXPECT_EQ(Keyferry("credential delete NODE_OPTIONS --yes"), 0) << error_;
}

TEST_F(CliEndToEndTest, BadInputIsRefusedByTheServer) {
  EXPECT_EQ(Keyferry("credential create 1ST", "v"), 65);
  EXPECT_EQ(Keyferry("credential create LD_PRELOAD", "v"), 65);
  EXPECT_EQ(Keyferry("user create Not_An_Id"), 65);
  EXPECT_EQ(Keyferry("team add-member nowhere admin"), 1);
  EXPECT_EQ(Json("credential list").size(), 0u);
}

TEST_F(CliEndToEndTest, ListsHaveMoreThanAPage) {
  for (int i = 0; i < 12; ++i) ASSERT_EQ(Keyferry(absl::StrCat("user create u", i)), 0) << error_;
  EXPECT_EQ(Json("user list").size(), 13u);
}

TEST_F(CliEndToEndTest, McpServersAndExplain) {
  EXPECT_EQ(Keyferry("team create eng"), 0) << error_;
  const std::string file =
      "id: github\ntransport: STDIO\ncommand: npx\nargs: [-y, x]\n"
      "env:\n  - {name: GITHUB_TOKEN, orgSecret: GITHUB_TOKEN}\n  - {name: LEVEL, static: sekrit}\n"
      "---\nid: github\nteam: eng\ntransport: STDIO\ncommand: npx\n";
  EXPECT_EQ(Keyferry("mcp-server apply --dry-run -f -", file), 0) << error_;
  EXPECT_EQ(Json("mcp-server list").size(), 0u);
  EXPECT_EQ(Keyferry("mcp-server apply -o json -f -", file), 0) << error_;
  EXPECT_THAT(error_, HasSubstr("not stored yet: GITHUB_TOKEN"));
  EXPECT_EQ(Json("mcp-server list --team eng").size(), 1u);
  EXPECT_EQ(Json("mcp-server get github")["env"][0]["orgSecret"], "GITHUB_TOKEN");
  EXPECT_THAT(output_, Not(HasSubstr("sekrit")));
  EXPECT_EQ(Json("explain github")["resolvable"], false);
  EXPECT_EQ(Keyferry("credential create GITHUB_TOKEN", "v"), 0) << error_;
  EXPECT_EQ(Json("explain github")["resolvable"], true);
  EXPECT_EQ(Keyferry("explain github"), 0) << error_;
  EXPECT_THAT(output_, HasSubstr("A launch would get every required variable."));
  EXPECT_EQ(Keyferry("mcp-server delete eng/github --yes"), 0) << error_;
  EXPECT_EQ(Keyferry("mcp-server get eng/github"), 1);
}

TEST_F(CliEndToEndTest, TheAuditLogIsReadExportedAndChecked) {
  const std::string ada = AddUser("ada");
  EXPECT_EQ(Keyferry("credential create GITHUB_TOKEN --description sekrit", "org-sekrit\n"), 0) << error_;
  ActAs(ada);
  EXPECT_EQ(Keyferry("credential rotate GITHUB_TOKEN", "stolen-sekrit"), 77);
  EXPECT_EQ(Json("audit list --failed")[0]["reason"], "PERMISSION_DENIED");
  EXPECT_EQ(Keyferry("audit head"), 77);
  variables_ = admin_;
  const nlohmann::json refused = Json("audit list --failed --principal ada --method CredentialService --limit 1");
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(refused[0]["method"], "CredentialService/RotateCredential");
  EXPECT_EQ(refused[0]["resource"], "orgs/dev/credentials/GITHUB_TOKEN");
  EXPECT_EQ(Json("audit list --resource GITHUB_TOKEN --method CredentialService").size(), 2u);
  EXPECT_EQ(Keyferry("audit list"), 0) << error_;
  EXPECT_THAT(output_, AllOf(HasSubstr("SEQUENCE"), HasSubstr("orgs/dev/users/ada"), Not(HasSubstr("sekrit"))));
  EXPECT_EQ(Keyferry("audit list --limit none"), 64);

  EXPECT_EQ(Keyferry("audit head -o json"), 0) << error_;
  const std::string head = folder_ + "/head.json";
  std::ofstream(head) << output_;
  EXPECT_EQ(Json("audit verify --expected " + head)["intact"], true);
  EXPECT_EQ(Keyferry("audit export"), 0) << error_;
  EXPECT_THAT(output_, Not(HasSubstr("sekrit")));
  const std::string text = output_;
  std::vector<std::string> lines = absl::StrSplit(text, '\n', absl::SkipEmpty());
  ASSERT_GT(lines.size(), 6u);
  EXPECT_THAT(lines[0], HasSubstr("keyferryd/Init"));
  const std::string file = folder_ + "/audit.jsonl";
  const auto check = [&](const std::string& content) {
    std::ofstream(file) << content;
    return Keyferry("audit verify -f " + file + " --expected " + head);
  };
  // Without a server.
  variables_.clear();
  EXPECT_EQ(check(text), 0) << error_;
  EXPECT_EQ(check(absl::StrReplaceAll(text, {{"RotateCredential", "GetCredential"}})), 65);
  EXPECT_THAT(error_, HasSubstr("was changed"));
  EXPECT_EQ(check(text.substr(text.find('\n') + 1)), 65);
  EXPECT_THAT(error_, HasSubstr("entry 1 is missing"));
  EXPECT_EQ(check(absl::StrCat(lines[0], "\n", lines[2], "\n", lines[1], "\n")), 65);
  EXPECT_THAT(error_, HasSubstr(absl::StrCat(file, ":2: entry 2 is missing")));
  EXPECT_EQ(check(absl::StrCat(lines[0], "\n", lines[1], "\n")), 65);
  EXPECT_THAT(error_, HasSubstr("the expected head names"));
  EXPECT_EQ(Keyferry("audit verify -f " + folder_ + "/none"), 64);
}

TEST_F(CliEndToEndTest, AMemberKeepsTheirRoleUnlessAnotherIsNamed) {
  AddUser("ann");
  ASSERT_EQ(Keyferry("team create eng"), 0) << error_;
  EXPECT_EQ(Json("team add-member eng ann")["role"], "TEAM_ROLE_MEMBER");
  EXPECT_EQ(error_, "");
  EXPECT_EQ(Json("team add-member eng ann --role owner")["role"], "TEAM_ROLE_OWNER");
  EXPECT_EQ(Json("team add-member eng ann")["role"], "TEAM_ROLE_OWNER");
  EXPECT_TRUE(absl::StrContains(error_, "keep their role")) << error_;
  EXPECT_EQ(Json("team members eng")[0]["role"], "TEAM_ROLE_OWNER");
  EXPECT_EQ(Json("team add-member eng ann --role member")["role"], "TEAM_ROLE_MEMBER");
}

TEST_F(CliEndToEndTest, WorkloadsAndServices) {
  EXPECT_EQ(Keyferry("mcp-server apply -f -", "id: a\ntransport: STDIO\ncommand: x\n"), 0) << error_;
  EXPECT_EQ(Keyferry("workload create w"), 0) << error_;
  EXPECT_EQ(Keyferry("workload grant w a"), 0) << error_;
  EXPECT_EQ(Json("workload list")[0]["mcpServers"][0], "orgs/dev/mcpServers/a");
  EXPECT_EQ(Json("workload revoke w a")["mcpServers"].size(), 0u);
  EXPECT_EQ(Keyferry("token create --workload w --ttl 1h"), 0) << error_;
  EXPECT_EQ(Json("token list --workload w").size(), 1u);
  EXPECT_EQ(Keyferry("workload delete w -y"), 0) << error_;
  EXPECT_EQ(Keyferry("service create s --role admin"), 0) << error_;
  EXPECT_EQ(Json("service list").size(), 1u);
  EXPECT_EQ(Keyferry("service delete s -y"), 0) << error_;
}

// Each grants another MCP server at the same time; none is lost.
TEST_F(CliEndToEndTest, GrantsAtTheSameTimeAreAllKept) {
  EXPECT_EQ(Keyferry("workload create w"), 0) << error_;
  const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  const int err = open((folder_ + "/grants").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  std::vector<pid_t> grants;
  for (const char* id : {"a", "b", "c", "d", "e"}) {
    grants.push_back(Start({"client/keyferry", "workload", "grant", "w", id}, variables_, nothing, nothing, err));
  }
  for (const pid_t grant : grants) {
    int status = 0;
    waitpid(grant, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << ReadText(folder_ + "/grants");
  }
  close(nothing);
  close(err);
  EXPECT_EQ(Json("workload list")[0]["mcpServers"].size(), grants.size());
}

TEST_F(CliEndToEndTest, SessionsAreCreatedShownOnceAndRevoked) {
  AddUser("ada");
  EXPECT_EQ(Keyferry("mcp-server apply -f -", "id: a\ntransport: STDIO\ncommand: x\n"), 0) << error_;
  EXPECT_EQ(Keyferry("session create --user ada --mcp-server a"), 77) << "an ADMIN is no platform";
  EXPECT_EQ(Keyferry("service create s --can-create-sessions"), 0) << error_;
  const std::string path = folder_ + "/s.token";
  std::ofstream(path) << Json("token create --service s")["token"].get<std::string>() << "\n";
  chmod(path.c_str(), 0600);
  ActAs(path);
  const nlohmann::json made = Json("session create --user ada --mcp-server a --ttl 5m");
  EXPECT_THAT(made["token"].get<std::string>(), testing::StartsWith("kfs_"));
  const std::string name = made["session"]["name"];
  EXPECT_EQ(Json("session list")[0]["name"], name);
  EXPECT_THAT(output_, Not(HasSubstr("kfs_")));
  EXPECT_EQ(Json("session describe " + name)["user"], "orgs/dev/users/ada");
  EXPECT_EQ(Keyferry("session revoke " + name), 0) << error_;
  EXPECT_EQ(Keyferry("session describe " + name), 1);
  variables_ = admin_;
  EXPECT_EQ(Json("service update s --cannot-create-sessions")["canCreateSessions"], false);
  ActAs(path);
  EXPECT_EQ(Keyferry("session create --user ada --mcp-server a"), 77);
  EXPECT_THAT(ReadText(folder_ + "/log"), Not(HasSubstr("kfs_")));
}

TEST_F(CliEndToEndTest, TokensEndWhenRevoked) {
  const std::string ada = AddUser("ada");
  const nlohmann::json tokens = Json("token list --user ada");
  ASSERT_EQ(tokens.size(), 1u);
  ActAs(ada);
  EXPECT_EQ(Json("status")["principal"], "orgs/dev/users/ada");
  EXPECT_EQ(Json("whoami")["principal"], "orgs/dev/users/ada");
  EXPECT_EQ(Json("whoami")["identity"], "an API token");
  variables_ = admin_;
  EXPECT_EQ(Keyferry("token revoke " + tokens[0]["name"].get<std::string>()), 0) << error_;
  ActAs(ada);
  EXPECT_EQ(Keyferry("status"), 77);
}

TEST_F(CliEndToEndTest, StatusTellsOfTheLastBackupOnTheServersMachine) {
  EXPECT_FALSE(Json("status").contains("lastBackupOutcome"));
  const std::string here = " --data-dir " + folder_ + "/data/store";
  EXPECT_EQ(Json("status" + here)["lastBackupOutcome"], "NONE");
  ASSERT_EQ(Keyferry("backup create --to " + folder_ + "/backups" + here), 0) << error_;
  const nlohmann::json done = Json("status" + here);
  EXPECT_EQ(done["lastBackupOutcome"], "SUCCEEDED");
  EXPECT_THAT(done["lastBackupTime"].get<std::string>(), testing::EndsWith("Z"));
  EXPECT_EQ(done["lastBackupProblem"], "");
  variables_["KEYFERRYD_DATA_DIR"] = folder_ + "/data/store";
  ASSERT_EQ(Keyferry("status"), 0) << error_;
  EXPECT_THAT(output_, HasSubstr(done["lastBackupTime"].get<std::string>() + ", succeeded\n"));
  ASSERT_NE(Keyferry("backup create --to " + folder_ + "/none/backups"), 0);
  const nlohmann::json failed = Json("status");
  EXPECT_EQ(failed["lastBackupOutcome"], "FAILED");
  EXPECT_THAT(failed["lastBackupProblem"].get<std::string>(), HasSubstr("/none/backups"));
  // Whoever has no server here is told so, and of the server all the same.
  EXPECT_EQ(Json("status --data-dir " + folder_)["lastBackupOutcome"], "UNKNOWN");
}

TEST_F(CliEndToEndTest, OrgAndEncryption) {
  EXPECT_EQ(Json("org describe")["tier"], "TIER_BUSINESS");
  EXPECT_EQ(Json("org set-tier enterprise")["tier"], "TIER_ENTERPRISE");
  const int before = std::stoi(Json("org encryption")["currentKeyId"].get<std::string>());
  EXPECT_EQ(Keyferry("org rotate-data-key"), 0) << error_;
  EXPECT_EQ(std::stoi(Json("org encryption")["currentKeyId"].get<std::string>()), before + 1);
  EXPECT_EQ(Keyferry("org delete"), 64);
  EXPECT_EQ(Keyferry("org delete --yes"), 0) << error_;
  EXPECT_NE(Keyferry("org describe"), 0);
}

}  // namespace
}  // namespace keyferry::client
