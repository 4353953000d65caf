#include "client/connection_options.h"

#include <stdlib.h>
#include <sys/stat.h>

#include <fstream>
#include <map>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace keyferry::client {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class ConnectionOptionsTest : public testing::Test {
 protected:
  ConnectionOptionsTest() {
    std::string pattern = testing::TempDir() + "/optionsXXXXXX";
    home_ = mkdtemp(pattern.data());
    variables_["HOME"] = home_;
    mkdir((home_ + "/.config").c_str(), 0700);
    mkdir((home_ + "/.config/keyferry").c_str(), 0700);
    path_ = home_ + "/.config/keyferry/config.yaml";
  }

  void WriteProfileFile(const std::string& text, mode_t mode = 0600) {
    std::ofstream(path_) << text;
    chmod(path_.c_str(), mode);
  }

  absl::StatusOr<ConnectionOptions> Load() {
    return LoadConnectionOptions(flags_, [this](const char* name) -> const char* {
      const auto found = variables_.find(name);
      return found == variables_.end() ? nullptr : found->second.c_str();
    });
  }

  std::string Error() {
    const absl::StatusOr<ConnectionOptions> options = Load();
    EXPECT_EQ(options.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(options.status().message());
  }

  std::string home_;
  std::string path_;
  ConnectionOptions flags_;
  std::map<std::string, std::string> variables_;
};

constexpr char kProfiles[] =
    "defaultProfile: work\n"
    "profiles:\n"
    "  work: {address: \"work:1\", caFile: ca.pem, tokenFile: ~/work.token, org: acme}\n"
    "  home: {address: \"home:2\", tokenFile: /t, clientCertFile: c.pem, clientKeyFile: k.pem}\n";

TEST_F(ConnectionOptionsTest, FlagBeforeEnvironmentBeforeProfile) {
  WriteProfileFile(kProfiles);
  flags_.address = "flag:1";
  variables_["KEYFERRY_ADDRESS"] = "environment:1";
  variables_["KEYFERRY_CA_FILE"] = "/environment.pem";
  const absl::StatusOr<ConnectionOptions> options = Load();
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->address, "flag:1");
  EXPECT_EQ(options->ca_file, "/environment.pem");
  EXPECT_EQ(options->token_file, home_ + "/work.token");
  EXPECT_EQ(options->org, "acme");
}

TEST_F(ConnectionOptionsTest, EveryVariableIsRead) {
  const std::map<std::string, std::string ConnectionOptions::*> members = {
      {"KEYFERRY_ADDRESS", &ConnectionOptions::address},
      {"KEYFERRY_CA_FILE", &ConnectionOptions::ca_file},
      {"KEYFERRY_TOKEN_FILE", &ConnectionOptions::token_file},
      {"KEYFERRY_ORG", &ConnectionOptions::org},
      {"KEYFERRY_CLIENT_CERT_FILE", &ConnectionOptions::client_cert_file},
      {"KEYFERRY_CLIENT_KEY_FILE", &ConnectionOptions::client_key_file},
  };
  for (const auto& [name, member] : members) variables_[name] = "value of " + name;
  const absl::StatusOr<ConnectionOptions> options = Load();
  ASSERT_TRUE(options.ok()) << options.status();
  for (const auto& [name, member] : members) EXPECT_EQ((*options).*member, "value of " + name);
}

TEST_F(ConnectionOptionsTest, NamedProfile) {
  WriteProfileFile(kProfiles);
  variables_["KEYFERRY_PROFILE"] = "home";
  absl::StatusOr<ConnectionOptions> options = Load();
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->address, "home:2");
  EXPECT_EQ(options->client_cert_file, home_ + "/.config/keyferry/c.pem");
  flags_.profile = "work";
  options = Load();
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->address, "work:1");
}

TEST_F(ConnectionOptionsTest, ConfigHomeMoves) {
  variables_["XDG_CONFIG_HOME"] = home_ + "/.config";
  variables_.erase("HOME");
  WriteProfileFile(kProfiles);
  EXPECT_TRUE(Load().ok());
}

TEST_F(ConnectionOptionsTest, CompleteSettingsNeedNoProfileFile) {
  WriteProfileFile("not: [valid");
  flags_.address = "a:1";
  flags_.ca_file = "ca";
  flags_.token_file = "t";
  flags_.org = "dev";
  EXPECT_TRUE(Load().ok());
}

TEST_F(ConnectionOptionsTest, MissingSettingsSayWhereTheyWereLookedFor) {
  EXPECT_THAT(Error(), AllOf(HasSubstr("no server address"), HasSubstr("--address"), HasSubstr("KEYFERRY_ADDRESS"),
                             HasSubstr(path_ + " (no such file)")));
  variables_["KEYFERRY_ADDRESS"] = "a:1";
  EXPECT_THAT(Error(), AllOf(HasSubstr("no API token"), HasSubstr("KEYFERRY_TOKEN_FILE")));
  variables_["KEYFERRY_CLIENT_CERT_FILE"] = "c";
  EXPECT_THAT(Error(), HasSubstr("no key for the client certificate"));
  variables_["KEYFERRY_CLIENT_KEY_FILE"] = "k";
  const absl::StatusOr<ConnectionOptions> options = Load();
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_THAT(std::string(RequireOrg(*options).message()), HasSubstr("no organization: looked at --org"));
}

TEST_F(ConnectionOptionsTest, EmptyVariableCountsAsNotSet) {
  variables_["KEYFERRY_ADDRESS"] = "";
  EXPECT_THAT(Error(), HasSubstr("no server address"));
}

TEST_F(ConnectionOptionsTest, BadProfileFiles) {
  const struct {
    const char* name;
    const char* text;
    const char* expected;
  } kCases[] = {
      {"not YAML", "profiles: [", ":1:1: end of sequence"},
      {"not a map", "- a\n", ":1:1: must hold the keys"},
      {"unknown top key", "profiles: {}\nprofile: x\n", ":2:1: unknown key `profile`"},
      {"no profiles", "defaultProfile: x\n", "`profiles` must be a map"},
      {"unknown key", "defaultProfile: a\nprofiles:\n  a:\n    adress: x\n", ":4:5: unknown key `adress`"},
      {"not a text", "defaultProfile: a\nprofiles:\n  a: {address: [x]}\n", "`address` must be a text"},
      {"profile is a text", "defaultProfile: a\nprofiles:\n  a: x\n", "a profile must be a map"},
      {"default is absent", "defaultProfile: b\nprofiles:\n  a: {}\n", "no profile `b`"},
  };
  for (const auto& test : kCases) {
    SCOPED_TRACE(test.name);
    WriteProfileFile(test.text);
    EXPECT_THAT(Error(), HasSubstr(test.expected));
  }
}

TEST_F(ConnectionOptionsTest, NamedProfileMustExist) {
  flags_.profile = "nowhere";
  EXPECT_THAT(Error(), HasSubstr("no profile `nowhere`"));
  WriteProfileFile(kProfiles);
  EXPECT_THAT(Error(), HasSubstr("it has: work, home"));
}

TEST_F(ConnectionOptionsTest, ProfileFileThatOthersCanWriteIsRefused) {
  WriteProfileFile(kProfiles, 0620);
  EXPECT_THAT(Error(), HasSubstr("can be written by others (mode 0620)"));
}

}  // namespace
}  // namespace keyferry::client
