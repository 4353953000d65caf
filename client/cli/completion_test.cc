#include "client/cli/completion.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/cli/commands.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace keyferry::client::cli {
namespace {

using testing::HasSubstr;

class CompletionTest : public testing::Test {
 protected:
  std::string Write(const std::string& text) {
    std::string pattern = testing::TempDir() + "/completionXXXXXX";
    const std::string path = std::string(mkdtemp(pattern.data())) + "/script";
    std::ofstream(path) << text;
    return path;
  }

  // What bash offers for a line whose last word is being typed, in order, joined by spaces.
  std::string Complete(const std::string& line) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    const std::string command = absl::StrCat("bash -c 'source ", Write(BashCompletion(tree_)), "; COMP_WORDS=(", line,
                                             words.back().empty() ? " \"\"" : "", "); COMP_CWORD=", words.size() - 1,
                                             "; _keyferry; echo \"${COMPREPLY[*]}\"' 2>&1");
    FILE* pipe = popen(command.c_str(), "r");
    std::string output;
    char buffer[4096];
    for (size_t size = 0; (size = fread(buffer, 1, sizeof(buffer), pipe)) > 0;) output.append(buffer, size);
    EXPECT_EQ(pclose(pipe), 0) << output;
    return output.substr(0, output.find('\n'));
  }

  const CommandTree tree_ = AllCommands();
};

TEST_F(CompletionTest, BashAcceptsTheScript) {
  const std::string script = BashCompletion(tree_);
  EXPECT_EQ(system(("bash -n " + Write(script)).c_str()), 0);
}

TEST_F(CompletionTest, BashOffersWhatTheTreeHas) {
  EXPECT_EQ(Complete("keyferry cre"), "credential");
  EXPECT_EQ(Complete("keyferry credential ro"), "rotate rollback rotate-many rollout");
  EXPECT_EQ(Complete("keyferry -o json credential ro"), "rotate rollback rotate-many rollout");
  EXPECT_EQ(Complete("keyferry credential rotate A --gr"), "--grace");
  EXPECT_EQ(Complete("keyferry credential rotate A --ro"), "--rotate-by");
  for (const char* command : {"update", "rotate", "rollback", "delete"}) {
    EXPECT_EQ(Complete(absl::StrCat("keyferry credential ", command, " A --et")), "--etag") << command;
  }
  EXPECT_EQ(Complete("keyferry user create bob --role "), "admin member");
  EXPECT_EQ(Complete("keyferry team add-member a b --role o"), "owner");
  EXPECT_EQ(Complete("keyferry credential list -o "), "json yaml table");
  EXPECT_EQ(Complete("keyferry org set-tier b"), "business");
  EXPECT_EQ(Complete("keyferry completion "), "bash zsh");
  EXPECT_EQ(Complete("keyferry credential rotate A --grace "), "");
  EXPECT_EQ(Complete("keyferry credential rotate "), "");
  EXPECT_EQ(Complete("keyferry user create bob --r"), "--role");
  EXPECT_EQ(Complete("keyferry conn"), "connection connect");
  EXPECT_EQ(Complete("keyferry connect x --n"), "--no-browser");
  EXPECT_EQ(Complete("keyferry connection d"), "describe disconnect");
  EXPECT_EQ(Complete("keyferry oauth-provider create x --from s"), "salesforce slack");
  EXPECT_EQ(Complete("keyferry oauth-provider catalogue g"), "github google");
}

TEST_F(CompletionTest, ScriptsNameEveryCommandAndOption) {
  const std::string bash = BashCompletion(tree_);
  const std::string zsh = ZshCompletion(tree_);
  for (const Command& command : tree_.commands) {
    EXPECT_THAT(bash, HasSubstr("'" + command.path + "')"));
    const std::vector<std::string> words = absl::StrSplit(command.path, ' ');
    EXPECT_THAT(zsh, HasSubstr("'" + words.back() + ":"));
    for (const Option& option : command.options) {
      EXPECT_THAT(bash, HasSubstr(option.LongName()));
      EXPECT_THAT(zsh, HasSubstr(option.LongName() + "["));
    }
  }
}

// zsh itself need not be there; its quoting is a shell's, so bash can say whether every quote is closed.
TEST_F(CompletionTest, ZshScriptIsQuoted) {
  const std::string script = ZshCompletion(tree_);
  EXPECT_THAT(script, testing::StartsWith("#compdef keyferry\n"));
  // An argument that may be left out.
  EXPECT_THAT(script, HasSubstr("'::NAME:(atlassian dropbox"));
  if (system("command -v zsh >/dev/null") == 0) {
    EXPECT_EQ(system(("zsh -n " + Write(script)).c_str()), 0);
  }
  EXPECT_EQ(system(("bash -n " + Write(script)).c_str()), 0);
}

}  // namespace
}  // namespace keyferry::client::cli
