#include "injector/source/server_access.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <fstream>
#include <string>

#include "absl/strings/match.h"
#include "gtest/gtest.h"

namespace keyferry::injector {
namespace {

class ServerAccessTest : public testing::Test {
 protected:
  ServerAccessTest() {
    std::string pattern = testing::TempDir() + "/accessXXXXXX";
    folder_ = mkdtemp(pattern.data());
    options_.mcp_server = "github";
    options_.connection.address = "127.0.0.1:7443";
    options_.connection.token_file = Write("token", "kft_token");
    options_.connection.org = "acme";
  }
  std::string Write(const std::string& name, const std::string& text) {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path) << text;
    EXPECT_EQ(chmod(path.c_str(), 0600), 0);
    return path;
  }
  static const char* NoVariables(const char*) { return nullptr; }

  std::string folder_;
  ExecOptions options_;
};

TEST_F(ServerAccessTest, FillsWhatIsAskedFor) {
  options_.team = "eng";
  options_.allow_partial = true;
  options_.session_file = Write("session", "kfs_session\n");
  const auto access = ServerAccess::Load(options_, NoVariables);
  ASSERT_TRUE(access.ok()) << access.status();
  EXPECT_EQ(access->mcp_servers().size(), 2) << "the team's, then the organization's";
  const auto opened = access->Open();
  ASSERT_TRUE(opened.ok()) << opened.status();
  ScopedResolveRequest request;
  access->Fill(access->mcp_servers()[1], opened->session, &*request);
  EXPECT_EQ(request->mcp_server(), "orgs/acme/mcpServers/github");
  EXPECT_EQ(request->team(), "orgs/acme/teams/eng");
  EXPECT_TRUE(request->allow_partial());
  EXPECT_EQ(request->session_token(), "kfs_session");
}

TEST_F(ServerAccessTest, ReadsTheFilesAnewEachTime) {
  const std::string session = Write("session", "kfs_one");
  const auto access = ServerAccess::Load(
      options_, [](const char* name) { return std::string(name) == "KEYFERRY_SESSION_FILE" ? "/nowhere" : nullptr; });
  ASSERT_TRUE(access.ok());
  EXPECT_TRUE(absl::StrContains(access->Open().status().message(), "session file cannot be opened"))
      << access->Open().status();
  options_.session_file = session;
  const auto other = ServerAccess::Load(options_, NoVariables);
  ASSERT_TRUE(other.ok());
  EXPECT_EQ(other->Open()->session.Expose(), "kfs_one");
  const std::string stamp = other->FilesStamp();
  EXPECT_EQ(other->FilesStamp(), stamp);
  Write("session.new", "kfs_two");
  ASSERT_EQ(rename((folder_ + "/session.new").c_str(), session.c_str()), 0);
  EXPECT_NE(other->FilesStamp(), stamp);
  EXPECT_EQ(other->Open()->session.Expose(), "kfs_two");
  ASSERT_EQ(remove(options_.connection.token_file.c_str()), 0);
  EXPECT_TRUE(absl::IsInvalidArgument(other->Open().status()));
}

TEST_F(ServerAccessTest, RefusesWhatCannotBeAskedFor) {
  options_.connection.org = "";
  EXPECT_TRUE(absl::IsInvalidArgument(ServerAccess::Load(options_, NoVariables).status()));
}

}  // namespace
}  // namespace keyferry::injector
