// The program itself: its commands, its start-up errors, its exit codes.
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/dev/certificates.h"
#include "storage/testing_store.h"

namespace keyferry::server {
namespace {

std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

void WriteAll(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

struct Outcome {
  int code = -1;
  std::string out;
  std::string err;
};

class KeyferrydTest : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = storage::MakeTestDirectory();
    ASSERT_TRUE(EnsureDevCertificates(directory_, absl::Now()).ok());
    config_ = directory_ + "/keyferryd.yaml";
    WriteAll(config_, absl::StrCat("listen: 127.0.0.1:0\ndata_dir: ", directory_,
                                   "/data\ntls:\n  cert_file: ", directory_, "/server.pem\n  key_file: ", directory_,
                                   "/server.key\nkey_provider:\n  file: ", directory_, "/kek\n"));
  }

  // Runs to the end.
  Outcome Run(const std::string& arguments) {
    const std::string out = directory_ + "/out";
    const std::string err = directory_ + "/err";
    const int status =
        std::system(absl::StrCat("server/keyferryd ", arguments, " > ", out, " 2> ", err, " < /dev/null").c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, ReadAll(out), ReadAll(err)};
  }

  // Starts it, waits for the ready line on its standard output, sends the signal and answers the exit code.
  int StartAndStop(const std::vector<std::string>& arguments, int signal, std::string* ready) {
    int pipe_ends[2];
    if (pipe(pipe_ends) != 0) return -1;
    const pid_t child = fork();
    if (child == 0) {
      dup2(pipe_ends[1], STDOUT_FILENO);
      close(pipe_ends[0]);
      close(pipe_ends[1]);
      std::vector<char*> argv = {const_cast<char*>("keyferryd")};
      for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
      argv.push_back(nullptr);
      execv("server/keyferryd", argv.data());
      _exit(126);
    }
    close(pipe_ends[1]);
    char c = 0;
    while (read(pipe_ends[0], &c, 1) == 1 && c != '\n') ready->push_back(c);
    kill(child, signal);
    int status = 0;
    waitpid(child, &status, 0);
    close(pipe_ends[0]);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  std::string directory_;
  std::string config_;
};

TEST_F(KeyferrydTest, HelpAndVersion) {
  EXPECT_EQ(Run("--version").out, "keyferryd 0.1.0\n");
  const Outcome help = Run("--help");
  EXPECT_EQ(help.code, 0);
  for (const char* word : {"--dev", "--data-dir", "--tls-client-ca-file", "KEYFERRYD_LISTEN", "init", "verify",
                           "rotate-kek", "serve", "Exit codes"}) {
    EXPECT_TRUE(absl::StrContains(help.out, word)) << word;
  }
}

TEST_F(KeyferrydTest, WrongCommandLinesAnswerTwoAndOneLine) {
  for (const std::string arguments : {"", "--no-such-flag", "--dev --config x", "--dev init --org a --admin b", "init",
                                      "init --org a --admin b --tier gold", "init --org a --admin b --once", "--dev"}) {
    SCOPED_TRACE(arguments);
    const Outcome outcome = Run(arguments);
    EXPECT_EQ(outcome.code, 2);
    EXPECT_EQ(outcome.out, "");
    EXPECT_TRUE(absl::StartsWith(outcome.err, "keyferryd: ")) << outcome.err;
    EXPECT_EQ(outcome.err.find('\n'), outcome.err.size() - 1) << outcome.err;
  }
}

TEST_F(KeyferrydTest, StartUpErrorsSayWhatWhereAndNext) {
  WriteAll(directory_ + "/bad.yaml", "listen: x\nlisten_to: y\n");
  struct Case {
    std::string name;
    std::string arguments;
    std::string what;
    std::string next;
  };
  for (const Case& c :
       {Case{"no file", "--config " + directory_ + "/none.yaml", "/none.yaml: ", "--config names the file"},
        Case{"unknown key", "--config " + directory_ + "/bad.yaml", "bad.yaml:2: unknown key", "known are listen, "},
        Case{"no KEK", "--config " + config_, "cannot open KEK file " + directory_, "put the KEK of the store there"},
        Case{"bad level", "--config " + config_ + " --log-level loud", "log level", "info"},
        Case{"bad org", "init --config " + config_ + " --org 'A b' --admin root", "org: an id", "Use lower-case"}}) {
    SCOPED_TRACE(c.name);
    const Outcome outcome = Run(c.arguments);
    EXPECT_EQ(outcome.code, 1);
    EXPECT_TRUE(absl::StrContains(outcome.err, c.what)) << outcome.err;
    EXPECT_TRUE(absl::StrContains(outcome.err, c.next)) << outcome.err;
    EXPECT_EQ(outcome.err.find('\n'), outcome.err.size() - 1) << "one line: " << outcome.err;
  }
}

TEST_F(KeyferrydTest, InitServeVerifyAndRotateTheKek) {
  const Outcome init =
      Run("init --config " + config_ + " --org acme --admin root --token-file " + directory_ + "/token");
  ASSERT_EQ(init.code, 0) << init.err;
  EXPECT_EQ(init.out, "");
  EXPECT_EQ(ReadAll(directory_ + "/token").size(), 54u);
  struct stat info = {};
  ASSERT_EQ(stat((directory_ + "/token").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  const Outcome again = Run("init --config " + config_ + " --org acme --admin root");
  EXPECT_EQ(again.code, 0) << "the way back in: " << again.err;
  EXPECT_EQ(again.out.size(), 55u);

  std::string ready;
  EXPECT_EQ(StartAndStop({"serve", "--config", config_}, SIGTERM, &ready), 0);
  EXPECT_TRUE(absl::StartsWith(ready, "keyferryd ready address=127.0.0.1:")) << ready;
  EXPECT_EQ(Run("verify --config " + config_).code, 0);

  const std::string next =
      " --previous-key-provider-file " + directory_ + "/kek --key-provider-file " + directory_ + "/kek2";
  const Outcome rotated = Run("rotate-kek --config " + config_ + next);
  EXPECT_EQ(rotated.code, 0) << rotated.err;
  const Outcome old_kek = Run("verify --config " + config_);
  EXPECT_EQ(old_kek.code, 1) << "the old KEK opens nothing";
  EXPECT_EQ(Run("verify --config " + config_ + " --key-provider-file " + directory_ + "/kek2").code, 0);
}

TEST_F(KeyferrydTest, SighupReadsFilesAgainAndKeepsWhatWorks) {
  ASSERT_EQ(Run("init --config " + config_ + " --org acme --admin root").code, 0);
  const std::string log = directory_ + "/serve.log";
  int out[2];
  ASSERT_EQ(pipe(out), 0);
  const pid_t child = fork();
  if (child == 0) {
    dup2(out[1], STDOUT_FILENO);
    close(out[0]);
    if (freopen(log.c_str(), "w", stderr) == nullptr) _exit(126);
    execl("server/keyferryd", "keyferryd", "serve", "--config", config_.c_str(), "--metrics-listen", "127.0.0.1:0",
          static_cast<char*>(nullptr));
    _exit(126);
  }
  close(out[1]);
  std::string ready;
  for (char c = 0; read(out[0], &c, 1) == 1 && c != '\n';) ready.push_back(c);
  close(out[0]);
  EXPECT_TRUE(absl::StrContains(ready, " metrics=127.0.0.1:")) << ready;
  const auto await = [&](const std::string& words) {
    while (!absl::StrContains(ReadAll(log), words)) std::this_thread::yield();
  };
  WriteAll(directory_ + "/server.pem", "torn");
  kill(child, SIGHUP);
  await("configuration reloaded");
  EXPECT_TRUE(absl::StrContains(ReadAll(log), "a changed file cannot be used; what was read before stays"));
  EXPECT_TRUE(absl::StrContains(ReadAll(log), directory_ + "/server.pem"));
  WriteAll(config_, "listen_to: nothing\n");
  kill(child, SIGHUP);
  await("configuration not reloaded; the running one stays");
  kill(child, SIGTERM);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << ReadAll(log);
}

TEST_F(KeyferrydTest, StreamsAndPrintsTheAuditLog) {
  ASSERT_EQ(Run("init --config " + config_ + " --org acme --admin root").code, 0);
  const std::string stream = directory_ + "/audit.jsonl";
  for (int i = 0; i < 2; ++i) {
    std::string ready;
    EXPECT_EQ(StartAndStop({"serve", "--config", config_, "--audit-stream", stream}, SIGTERM, &ready), 0);
  }
  const std::string lines = ReadAll(stream);
  EXPECT_TRUE(absl::StartsWith(lines, "{\"org\":\"acme\",\"sequence\":\"1\",")) << lines;
  EXPECT_TRUE(absl::StrContains(lines, "keyferryd/Init"));
  const Outcome printed = Run("audit --config " + config_ + " --org acme");
  EXPECT_EQ(printed.code, 0) << printed.err;
  EXPECT_TRUE(absl::StartsWith(printed.out, lines)) << "the same lines, each once: " << printed.out;
  EXPECT_TRUE(absl::StrContains(printed.out.substr(lines.size()), "\"head\":{")) << printed.out;
  EXPECT_EQ(Run("audit --config " + config_).code, 0) << "the system's";
  EXPECT_EQ(Run("audit --config " + config_ + " --org nowhere").code, 1);
  EXPECT_EQ(Run("serve --config " + config_ + " --audit-stream " + directory_ + "/no/such/file").code, 1);
  EXPECT_EQ(Run("serve --config " + config_ + " --audit-retention-days many").code, 1);
}

TEST_F(KeyferrydTest, AMissingKekIsNotReplacedBesideAStore) {
  ASSERT_EQ(Run("init --config " + config_ + " --org acme --admin root").code, 0);
  ASSERT_EQ(unlink((directory_ + "/kek").c_str()), 0);
  EXPECT_EQ(Run("init --config " + config_ + " --org acme --admin root").code, 1);
  EXPECT_NE(access((directory_ + "/kek").c_str(), F_OK), 0);
}

TEST_F(KeyferrydTest, DevKeepsItsIdentityAcrossStarts) {
  const std::string data = directory_ + "/dev-data";
  std::string ready;
  ASSERT_EQ(StartAndStop({"--dev", "--data-dir", data, "--listen", "127.0.0.1:0"}, SIGINT, &ready), 0);
  EXPECT_TRUE(absl::StrContains(ready, "token_file=" + data + "/dev/admin.token")) << ready;
  const std::string token = ReadAll(data + "/dev/admin.token");
  const std::string ca = ReadAll(data + "/dev/ca.pem");
  ready.clear();
  ASSERT_EQ(StartAndStop({"--dev", "--data-dir", data, "--listen", "127.0.0.1:0"}, SIGTERM, &ready), 0);
  EXPECT_EQ(ReadAll(data + "/dev/admin.token"), token);
  EXPECT_EQ(ReadAll(data + "/dev/ca.pem"), ca);
  for (const char* file :
       {"/dev/ca.pem", "/dev/ca.key", "/dev/server.key", "/dev/admin.token", "/dev/address", "/dev/kek"}) {
    struct stat info = {};
    ASSERT_EQ(stat((data + file).c_str(), &info), 0) << file;
    EXPECT_EQ(info.st_mode & 0777, 0600u) << file;
  }
}

TEST_F(KeyferrydTest, AnAddressThatCannotBeTakenIsOneClearLine) {
  const Outcome outcome = Run("--dev --data-dir " + directory_ + "/dev-data --listen 192.0.2.1:7443");
  EXPECT_EQ(outcome.code, 1);
  EXPECT_TRUE(absl::StrContains(outcome.err, "cannot listen on 192.0.2.1:7443")) << outcome.err;
  EXPECT_EQ(outcome.err.find('\n'), outcome.err.size() - 1) << outcome.err;
}

TEST_F(KeyferrydTest, APortThatIsNoneIsRefused) {
  for (const std::string port : {"99999", "65536", "-1", "7x", "", "+1", "0x1f"}) {
    SCOPED_TRACE(port);
    const Outcome outcome = Run("--dev --data-dir " + directory_ + "/dev-data --listen 127.0.0.1:" + port);
    EXPECT_EQ(outcome.code, 1);
    EXPECT_TRUE(absl::StrContains(outcome.err, "use HOST:PORT")) << outcome.err;
  }
}

TEST_F(KeyferrydTest, ADirectoryThatOthersCanReadIsRefused) {
  const std::string data = directory_ + "/dev-data";
  std::string ready;
  ASSERT_EQ(StartAndStop({"--dev", "--data-dir", data, "--listen", "127.0.0.1:0"}, SIGTERM, &ready), 0);
  ASSERT_EQ(chmod(data.c_str(), 0755), 0);
  const Outcome outcome = Run("--dev --data-dir " + data + " --listen 127.0.0.1:0");
  EXPECT_EQ(outcome.code, 1);
  EXPECT_TRUE(absl::StrContains(outcome.err, "chmod 700")) << outcome.err;
}

}  // namespace
}  // namespace keyferry::server
