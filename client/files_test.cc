#include "client/files.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace keyferry::client {
namespace {

using testing::HasSubstr;

class TokenFileTest : public testing::Test {
 protected:
  TokenFileTest() {
    std::string pattern = testing::TempDir() + "/filesXXXXXX";
    folder_ = mkdtemp(pattern.data());
    path_ = folder_ + "/token";
  }

  void Write(const std::string& text, mode_t mode = 0600) {
    std::ofstream(path_) << text;
    chmod(path_.c_str(), mode);
  }

  std::string Error() { return std::string(ReadTokenFile(path_).status().message()); }

  std::string folder_;
  std::string path_;
};

TEST_F(TokenFileTest, OneNewlineIsRemoved) {
  Write("abc\n");
  const absl::StatusOr<SecretText> token = ReadTokenFile(path_);
  ASSERT_TRUE(token.ok()) << token.status();
  EXPECT_EQ(std::string(token->Expose()), "abc");
}

TEST_F(TokenFileTest, LinksAreFollowed) {
  Write("abc");
  const std::string link = folder_ + "/link";
  ASSERT_EQ(symlink(path_.c_str(), link.c_str()), 0);
  EXPECT_TRUE(ReadTokenFile(link).ok());
}

TEST_F(TokenFileTest, Modes) {
  for (const mode_t mode : {0600, 0400, 0640}) {
    Write("abc", mode);
    EXPECT_TRUE(ReadTokenFile(path_).ok()) << std::oct << mode;
    unlink(path_.c_str());
  }
  for (const mode_t mode : {0644, 0604, 0602, 0666}) {
    Write("abc", mode);
    EXPECT_THAT(Error(), HasSubstr("is open to other users")) << std::oct << mode;
    unlink(path_.c_str());
  }
}

TEST_F(TokenFileTest, BadContentIsRefusedAndNotShown) {
  const std::string kSecret = "sekrit";
  for (const std::string& text :
       {kSecret + "\n\n", kSecret + " x", kSecret + "\r\n", kSecret + std::string("\0", 1), " " + kSecret}) {
    Write(text);
    EXPECT_THAT(Error(), HasSubstr("holds more than a token"));
    EXPECT_THAT(Error(), Not(HasSubstr(kSecret)));
  }
  for (const char* text : {"", "\n"}) {
    Write(text);
    EXPECT_THAT(Error(), HasSubstr("is empty"));
  }
}

TEST_F(TokenFileTest, OtherThanRegularFiles) {
  EXPECT_THAT(Error(), HasSubstr("No such file"));
  path_ = folder_;
  EXPECT_THAT(Error(), HasSubstr("is not a regular file"));
  path_ = folder_ + "/fifo";
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  EXPECT_THAT(Error(), HasSubstr("is not a regular file"));
}

TEST_F(TokenFileTest, TooLong) {
  Write(std::string(16 * 1024, 'a'));
  EXPECT_TRUE(ReadTokenFile(path_).ok());
  Write(std::string(16 * 1024 + 1, 'a'));
  EXPECT_THAT(Error(), HasSubstr("is longer than 16384 bytes"));
}

}  // namespace
}  // namespace keyferry::client
