// The programs themselves: an operator configures an issuer, an ADMIN grants with `keyferry`, and `keyferry-injector`
// launches with nothing but the token that Kubernetes projects.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "server/dev/certificates.h"
#include "server/identity/jwt/testing_jwt.h"
#include "tests/harness/child_process.h"
#include "tests/harness/dev_server.h"

namespace keyferry::testing {
namespace {

constexpr char kIssuer[] = "https://kubernetes.default.svc.cluster.local";

struct Outcome {
  int code = -1;
  std::string out;
  std::string err;
};

class ProjectedTokenProgramsTest : public ::testing::Test {
 protected:
  ProjectedTokenProgramsTest() : directory_(MakeTestDirectory("projected")), key_(server::JwtAlgorithm::kEs256, "k1") {}

  void SetUp() override {
    ASSERT_TRUE(server::EnsureDevCertificates(directory_, absl::Now()).ok());
    Write("jwks.json", server::TestJwks(key_.Jwk()));
    Write("keyferryd.yaml",
          absl::StrCat("listen: 127.0.0.1:0\ndata_dir: ", directory_, "/data\ntls: {cert_file: ", directory_,
                       "/server.pem, key_file: ", directory_, "/server.key}\nkey_provider: {file: ", directory_,
                       "/kek}\nidentity:\n  issuers:\n    - {name: cluster, kind: kubernetes, issuer: '", kIssuer,
                       "', jwks_file: ", directory_, "/jwks.json}\n"));
    const Outcome init =
        Run(absl::StrCat(std::getenv("KEYFERRYD"), " init --config ", directory_,
                         "/keyferryd.yaml --org acme --admin root --token-file ", directory_, "/admin"));
    ASSERT_EQ(init.code, 0) << init.err;
    server_ = ChildProcess::Start({std::getenv("KEYFERRYD"), "serve", "--config", directory_ + "/keyferryd.yaml"},
                                  directory_ + "/log");
    const std::optional<std::string> ready = server_->ReadLine(absl::Now() + absl::Seconds(60));
    ASSERT_TRUE(ready.has_value()) << ReadWholeFile(directory_ + "/log");
    const size_t address = ready->find("address=") + 8;
    address_ = ready->substr(address, ready->find(' ', address) - address);
  }
  void TearDown() override {
    server_->Signal(SIGTERM);
    EXPECT_EQ(server_->Wait(), 0);
  }

  void Write(const std::string& name, const std::string& text) {
    std::ofstream(absl::StrCat(directory_, "/", name)) << text;
    ASSERT_EQ(std::system(absl::StrCat("chmod 600 ", directory_, "/", name).c_str()), 0);
  }
  Outcome Run(const std::string& command) {
    const int status = std::system(absl::StrCat(command, " > ", directory_, "/out 2> ", directory_, "/err").c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, ReadWholeFile(directory_ + "/out"),
            ReadWholeFile(directory_ + "/err")};
  }
  // With the token of that file.
  Outcome RunAs(const std::string& token, const std::string& command) {
    return Run(absl::StrCat("env KEYFERRY_ADDRESS=", address_, " KEYFERRY_CA_FILE=", directory_,
                            "/ca.pem KEYFERRY_TOKEN_FILE=", directory_, "/", token,
                            " KEYFERRY_ORG=acme HOME=", directory_, " ", command));
  }
  Outcome Keyferry(const std::string& arguments) {
    return RunAs("admin", absl::StrCat(std::getenv("KEYFERRY"), " ", arguments));
  }
  Outcome Launch() {
    return RunAs("pod-token",
                 absl::StrCat(std::getenv("KEYFERRY_INJECTOR"),
                              " exec --startup-timeout 1s --mcp-server tool -- sh -c 'printf %s \"$TOKEN\"'"));
  }

  const std::string directory_;
  const server::TestJwtKey key_;
  std::unique_ptr<ChildProcess> server_;
  std::string address_;
};

TEST_F(ProjectedTokenProgramsTest, APodLaunchesWithItsProjectedTokenAsLongAsItIsGranted) {
  Write("value", "the-value");
  Write("tool.yaml", "id: tool\ntransport: STDIO\ncommand: sh\nenv:\n  - {name: TOKEN, orgSecret: TOKEN}\n");
  for (const std::string& command :
       {absl::StrCat("credential create TOKEN < ", directory_, "/value"),
        absl::StrCat("mcp-server apply -f ", directory_, "/tool.yaml"), std::string("workload create runner"),
        std::string("workload grant runner tool --issuer cluster --namespace tools --service-account mcp")}) {
    const Outcome done = Keyferry(command);
    ASSERT_EQ(done.code, 0) << command << ": " << done.err;
  }
  const Outcome described = Keyferry("workload describe runner -o json");
  EXPECT_EQ(described.code, 0) << described.err;
  EXPECT_TRUE(absl::StrContains(described.out, "\"serviceAccount\"")) << described.out;
  Write("pod-token",
        key_.Sign(server::TestServiceAccountClaims(kIssuer, "tools", "mcp", "mcp-0", "uid-0", absl::Now())));
  const Outcome launched = Launch();
  EXPECT_EQ(launched.code, 0) << launched.err;
  EXPECT_EQ(launched.out, "the-value");

  ASSERT_EQ(Keyferry("workload revoke runner --issuer cluster --namespace tools --service-account mcp").code, 0);
  const Outcome refused = Launch();
  EXPECT_EQ(refused.code, 77) << refused.err;
  const std::string log = ReadWholeFile(directory_ + "/log");
  EXPECT_TRUE(absl::StrContains(log, "it is granted to no workload")) << log;
  const std::string token = ReadWholeFile(directory_ + "/pod-token");
  EXPECT_FALSE(absl::StrContains(log, token.substr(token.rfind('.') + 1, 20)));
}

}  // namespace
}  // namespace keyferry::testing
