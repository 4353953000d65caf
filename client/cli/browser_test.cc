#include "client/cli/browser.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace keyferry::client::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class BrowserTest : public testing::Test {
 protected:
  BrowserTest() {
    std::string pattern = testing::TempDir() + "/browserXXXXXX";
    folder_ = mkdtemp(pattern.data());
    // An opener that keeps what it is told.
    const std::string opener = folder_ + "/xdg-open";
    std::ofstream(opener) << "#!/bin/sh\nprintf '%s|' \"$#\" \"$@\" > " << folder_ << "/seen\nenv >> " << folder_
                          << "/seen\n";
    chmod(opener.c_str(), 0755);
    setenv("PATH", (folder_ + ":/usr/bin:/bin").c_str(), 1);
    setenv("KEYFERRY_TOKEN_FILE", "sekrit", 1);
    setenv("BROWSER_TEST", "kept", 1);
  }

  // What the opener saw, "" if it was not started.
  std::string Open(const std::string& url) {
    const pid_t pid = StartBrowser(
        [this](const char* name) -> const char* {
          const auto found = variables_.find(name);
          return found == variables_.end() ? nullptr : found->second.c_str();
        },
        url);
    if (pid == 0) return "";
    int status = 0;
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    EXPECT_EQ(status, 0);
    std::ostringstream text;
    text << std::ifstream(folder_ + "/seen").rdbuf();
    return text.str();
  }

  std::string folder_;
  std::map<std::string, std::string> variables_ = {{"DISPLAY", ":0"}};
};

TEST_F(BrowserTest, GivesTheUrlAsOneArgumentAndNoIdentity) {
  const std::string seen = Open("https://example.com/start?a=$(id)&b=;c");
  EXPECT_THAT(seen, testing::StartsWith("1|https://example.com/start?a=$(id)&b=;c|"));
  EXPECT_THAT(seen, AllOf(HasSubstr("BROWSER_TEST=kept"), Not(HasSubstr("KEYFERRY_")), Not(HasSubstr("sekrit"))));
  variables_ = {{"WAYLAND_DISPLAY", "wayland-0"}};
  EXPECT_THAT(Open("https://example.com"), HasSubstr("|https://example.com|"));
}

TEST_F(BrowserTest, OpensNothingButPlainHttps) {
  for (const char* url : {"http://example.com", "file:///etc/passwd", "--help", "javascript:alert(1)", "",
                          "https://example.com/a b", "https://example.com/\n", "https://example.com/\"",
                          "https://example.com/`id`", "https://example.com/\x1b[2J", "https://example.com/\\"}) {
    EXPECT_EQ(Open(url), "") << url;
  }
}

TEST_F(BrowserTest, NeedsADisplayAndAnOpener) {
  variables_ = {{"DISPLAY", ""}};
  EXPECT_EQ(Open("https://example.com"), "");
  variables_ = {{"DISPLAY", ":0"}};
  setenv("PATH", "/nonexistent", 1);
  EXPECT_EQ(Open("https://example.com"), "");
}

}  // namespace
}  // namespace keyferry::client::cli
