// The webhook as Kubernetes meets it: the program, its TLS, and a real keyferryd behind it.
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/connection.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "keyferry/v1/mcp_servers.grpc.pb.h"
#include "nlohmann/json.hpp"
#include "server/http/testing_tls.h"
#include "tests/harness/child_process.h"
#include "tests/harness/dev_server.h"

namespace keyferry::testing {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

constexpr absl::Duration kPatience = absl::Minutes(5);

class WebhookTest : public ::testing::Test {
 protected:
  WebhookTest() : folder_(MakeTestDirectory("webhook")) {
    WriteIdentity(ca_.Issue());
    Write("webhook.yaml", "org: dev\nimage: registry.example/keyferry:1\n");
  }

  void Write(const std::string& name, const std::string& text) {
    const std::string path = Path(name);
    std::ofstream(path + ".new") << text;
    ASSERT_EQ(chmod((path + ".new").c_str(), 0600), 0);
    ASSERT_EQ(rename((path + ".new").c_str(), path.c_str()), 0);
  }
  std::string Path(const std::string& name) const { return folder_ + "/" + name; }

  void WriteIdentity(const server::TestIdentity& identity) {
    Write("tls.crt", identity.certificate);
    Write("tls.key", identity.key);
  }

  void Start(std::vector<std::string> options = {}) {
    std::vector<std::string> command = {getenv("KEYFERRY_INJECTOR"),
                                        "webhook",
                                        "--listen",
                                        "127.0.0.1:0",
                                        "--tls-cert",
                                        Path("tls.crt"),
                                        "--tls-key",
                                        Path("tls.key"),
                                        "--config",
                                        Path("webhook.yaml"),
                                        "--shutdown-delay",
                                        "0s"};
    command.insert(command.end(), options.begin(), options.end());
    process_ = ChildProcess::Start(command, Path("log"));
    const std::optional<std::string> ready = process_->ReadLine(absl::Now() + kPatience);
    ASSERT_TRUE(ready.has_value()) << ReadWholeFile(Path("log"));
    int port = 0;
    ASSERT_TRUE(absl::SimpleAtoi(ready->substr(ready->rfind(':') + 1), &port)) << *ready;
    port_ = static_cast<uint16_t>(port);
  }

  std::unique_ptr<server::RawPeer> Connect(const server::TestIdentity* client = nullptr,
                                           uint16_t max_version = TLS1_3_VERSION) {
    return server::RawPeer::Connect(port_, ca_, max_version, client);
  }

  static std::string Post(const std::string& body, const std::string& headers = "") {
    return absl::StrCat("POST /mutate?timeout=10s HTTP/1.1\r\nHost: keyferry-webhook.keyferry.svc\r\n", headers,
                        "Content-Type: application/json\r\nContent-Length: ", body.size(), "\r\n\r\n", body);
  }

  static Json ReviewOf(const Json& container, bool dry_run = false) {
    return {
        {"apiVersion", "admission.k8s.io/v1"},
        {"kind", "AdmissionReview"},
        {"request",
         {{"uid", "1"},
          {"resource", {{"group", ""}, {"version", "v1"}, {"resource", "pods"}}},
          {"operation", "CREATE"},
          {"dryRun", dry_run},
          {"object",
           {{"metadata",
             {{"labels", {{"keyferry.dev/inject", "true"}}}, {"annotations", {{"keyferry.dev/mcp-server", "github"}}}}},
            {"spec", {{"containers", Json::array({container})}}}}}}}};
  }

  // What a review of that pod is answered.
  Json Review(const Json& container, bool dry_run = false) { return Answer(ReviewOf(container, dry_run)); }

  Json Answer(const Json& review, const server::TestIdentity* client = nullptr) {
    const std::unique_ptr<server::RawPeer> peer = Connect(client);
    EXPECT_TRUE(peer->Write(Post(review.dump())));
    const std::string answer = peer->ReadMessage();
    EXPECT_THAT(answer, ::testing::StartsWith("HTTP/1.1 200 "));
    const size_t start = answer.find("\r\n\r\n");
    if (start == std::string::npos) return Json();
    return Json::parse(answer.substr(start + 4))["response"];
  }

  const server::TestCa ca_;
  const std::string folder_;
  std::unique_ptr<ChildProcess> process_;
  uint16_t port_ = 0;
};

TEST_F(WebhookTest, RewritesRefusesAndEnds) {
  Start();
  EXPECT_TRUE(Review({{"name", "server"}, {"command", Json::array({"node"})}}).contains("patch"));
  const Json refused = Review({{"name", "server"}});
  EXPECT_EQ(refused["allowed"], false);
  EXPECT_THAT(refused["status"]["message"].get<std::string>(), HasSubstr("no command"));
  process_->Signal(SIGTERM);
  EXPECT_EQ(process_->Wait(), 0);
  EXPECT_THAT(ReadWholeFile(Path("log")), ::testing::AllOf(HasSubstr("rewrote /"), HasSubstr("refused /")));
}

TEST_F(WebhookTest, TheImageOfTheCommandLineCountsBeforeTheConfigurations) {
  Start({"--image", "registry.example/mirror:2"});
  const Json answer = Review({{"name", "server"}, {"command", Json::array({"node"})}});
  std::string patch;
  ASSERT_TRUE(absl::Base64Unescape(answer["patch"].get<std::string>(), &patch));
  EXPECT_THAT(patch, ::testing::AllOf(HasSubstr("registry.example/mirror:2"),
                                      ::testing::Not(HasSubstr("registry.example/keyferry:1"))));
}

TEST_F(WebhookTest, AnImageThatIsNoneIsRefused) {
  const std::unique_ptr<ChildProcess> process =
      ChildProcess::Start({getenv("KEYFERRY_INJECTOR"), "webhook", "--listen", "127.0.0.1:0", "--tls-cert",
                           Path("tls.crt"), "--tls-key", Path("tls.key"), "--image", "$(KEYFERRY_IMAGE)"},
                          Path("log"));
  EXPECT_EQ(process->Wait(), 64);
  EXPECT_THAT(ReadWholeFile(Path("log")), HasSubstr("--image $(KEYFERRY_IMAGE): give an image"));
}

TEST_F(WebhookTest, TakesANewCertificate) {
  Start();
  const std::string before = Connect()->PeerCertificate();
  const server::TestIdentity next = ca_.Issue();
  // Only half of the pair: it goes on with what it has.
  Write("tls.crt", next.certificate);
  process_->Signal(SIGHUP);
  EXPECT_EQ(Connect()->PeerCertificate(), before);
  Write("tls.key", next.key);
  process_->Signal(SIGHUP);
  const absl::Time deadline = absl::Now() + kPatience;
  while (Connect()->PeerCertificate() == before) ASSERT_LT(absl::Now(), deadline);
}

// The certificate decides who is answered; each refusal is of a certificate that differs in one thing.
TEST_F(WebhookTest, OnlyClientsOfTheCaAreAnswered) {
  const server::TestCa clients;
  Write("clients.pem", clients.certificate());
  Start({"--client-ca", Path("clients.pem")});
  const Json review = ReviewOf({{"name", "server"}, {"command", Json::array({"node"})}});
  const server::TestIdentity api_server = clients.Issue();
  EXPECT_TRUE(Answer(review, &api_server).contains("patch"));

  server::TestCa::Form ended, for_servers;
  ended.valid_for = -absl::Minutes(1);
  for_servers.usage = "serverAuth";
  const struct {
    const char* name;
    server::TestIdentity identity;
  } kRefused[] = {
      {"another CA's", ca_.Issue()}, {"ended", clients.Issue(ended)}, {"for servers", clients.Issue(for_servers)}};
  for (const auto& one : kRefused) {
    for (const uint16_t version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
      const std::unique_ptr<server::RawPeer> peer = Connect(&one.identity, version);
      // With TLS 1.3 a client learns it only when it reads.
      if (peer->connected()) peer->Write(Post(review.dump(), "Connection: close\r\n"));
      EXPECT_EQ(peer->ReadToEnd(), "") << one.name;
    }
  }
  const std::unique_ptr<server::RawPeer> nobody = Connect();
  ASSERT_TRUE(nobody->Write(Post(review.dump())));
  EXPECT_THAT(nobody->ReadToEnd(), ::testing::StartsWith("HTTP/1.1 403 "));
  const std::unique_ptr<server::RawPeer> kubelet = Connect();
  ASSERT_TRUE(kubelet->Write("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"));
  EXPECT_THAT(kubelet->ReadMessage(), ::testing::StartsWith("HTTP/1.1 200 "));
  // Nobody else's review left a trace.
  const std::string log = ReadWholeFile(Path("log"));
  EXPECT_EQ(log.find("rewrote"), log.rfind("rewrote"));
}

// A pod's containers and all pods behind it are refused in the time of one question.
TEST_F(WebhookTest, AServerThatNeverAnswersHoldsNoReviewUp) {
  server::RawServer::Options silent;
  silent.tls = false;
  server::RawServer dead(ca_.Issue(), silent, [](server::RawPeer& peer) { peer.ReadToEnd(); });
  Write("ca.pem", ca_.certificate());
  Write("token", "kf_nobody");
  Start({"--ask-server", "--address", absl::StrCat("127.0.0.1:", dead.port()), "--ca-file", Path("ca.pem"),
         "--token-file", Path("token"), "--org", "dev"});
  Json review = ReviewOf({{"name", "server-0"}}, /*dry_run=*/true);
  std::string chosen = "server-0=mcp-0";
  for (int i = 1; i < 16; ++i) {
    review["request"]["object"]["spec"]["containers"].push_back({{"name", absl::StrCat("server-", i)}});
    absl::StrAppend(&chosen, ",server-", i, "=mcp-", i);
  }
  review["request"]["object"]["metadata"]["annotations"]["keyferry.dev/mcp-server"] = chosen;
  const Json refused = Answer(review);
  EXPECT_EQ(refused["allowed"], false);
  EXPECT_THAT(refused["status"]["message"].get<std::string>(), HasSubstr("could not be had"));
  EXPECT_GE(dead.accepted(), 1);
}

TEST_F(WebhookTest, AsksTheServer) {
  const std::unique_ptr<DevServer> server = DevServer::Start(folder_ + "/data");
  const std::unique_ptr<client::Connection> connection = server->Connect();
  v1::McpServerService::Stub stub(connection->channel());
  v1::ApplyMcpServerRequest request;
  v1::McpServer* const github = request.mutable_mcp_server();
  github->set_name("orgs/dev/mcpServers/github");
  github->set_transport(v1::MCP_TRANSPORT_STDIO);
  github->set_command("npx");
  github->add_args("server-github");
  v1::EnvBinding* const binding = github->add_env();
  binding->set_variable("GITHUB_TOKEN");
  binding->set_org_secret("GITHUB_TOKEN");
  v1::ApplyMcpServerResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(stub.ApplyMcpServer(&context, request, &response).ok());

  Start({"--ask-server", "--address", server->address(), "--ca-file", server->data_dir() + "/dev/ca.pem",
         "--token-file", server->data_dir() + "/dev/admin.token", "--org", "dev"});
  const Json without_command = Review({{"name", "server"}});
  std::string patch;
  ASSERT_TRUE(absl::Base64Unescape(without_command.value("patch", ""), &patch)) << without_command;
  EXPECT_THAT(patch, HasSubstr(R"("--","npx","server-github"])"));
  EXPECT_FALSE(without_command.contains("warnings"));
  const Json dry = Review({{"name", "server"}}, /*dry_run=*/true);
  ASSERT_TRUE(dry.contains("warnings")) << dry;
  EXPECT_THAT(dry["warnings"][0].get<std::string>(), HasSubstr("container server: GITHUB_TOKEN would have no value"));

  ASSERT_EQ(server->Stop(), 0);
  const Json unreachable = Review({{"name", "server"}}, /*dry_run=*/true);
  EXPECT_TRUE(unreachable.contains("warnings") || unreachable["allowed"] == false) << unreachable;
}

TEST_F(WebhookTest, WrongFilesAreSaidAtTheStart) {
  const struct {
    const char* file;
    const char* text;
    const char* problem;
  } kCases[] = {{"webhook.yaml", "imgae: x\n", "no such setting"}, {"tls.crt", "nothing\n", "no PEM certificate"}};
  for (const auto& one : kCases) {
    const std::string right = ReadWholeFile(Path(one.file));
    Write(one.file, one.text);
    const auto process =
        ChildProcess::Start({getenv("KEYFERRY_INJECTOR"), "webhook", "--listen", "127.0.0.1:0", "--tls-cert",
                             Path("tls.crt"), "--tls-key", Path("tls.key"), "--config", Path("webhook.yaml")},
                            Path("wrong.log"));
    EXPECT_EQ(process->Wait(), 64) << one.file;
    EXPECT_THAT(ReadWholeFile(Path("wrong.log")), HasSubstr(one.problem));
    Write(one.file, right);
  }
}

}  // namespace
}  // namespace keyferry::testing
