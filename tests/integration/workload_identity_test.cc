// Workloads that bring no API token: the projected token of a pod, and the client certificate of a SPIFFE identity,
// against a real server.
#include <sys/stat.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "injector/source/environment_source.h"
#include "keyferry/v1/audit.pb.h"
#include "keyferry/v1/directory.pb.h"
#include "keyferry/v1/processes.pb.h"
#include "keyferry/v1/resolution.grpc.pb.h"
#include "keyferry/v1/tokens.grpc.pb.h"
#include "server/config/identity_config.h"
#include "server/http/testing_tls.h"
#include "server/identity/jwt/testing_jwt.h"
#include "storage/testing_store.h"
#include "tests/integration/recording_listener.h"
#include "tests/integration/world.h"

namespace keyferry::testing {
namespace {

using server::JwtAlgorithm;
using server::TestJwtKey;

constexpr char kIssuer[] = "https://kubernetes.default.svc.cluster.local";
constexpr char kSpiffeId[] = "spiffe://prod.example.com/tools/mcp";
constexpr char kGrantPod[] =
    "workload { name: 'orgs/acme/workloads/runner' identities { kubernetes { issuer: 'cluster' namespace: 'tools' "
    "service_account: 'mcp' } } } update_mask { paths: 'identities' }";
constexpr char kResolve[] = "mcp_server: 'orgs/acme/mcpServers/github' process { process_id: 'p1' pod: 'made-up' }";

void WriteFile(const std::string& path, const std::string& text) {
  const std::string temporary = path + ".new";
  std::ofstream(temporary) << text;
  ASSERT_EQ(chmod(temporary.c_str(), 0600), 0);
  ASSERT_EQ(rename(temporary.c_str(), path.c_str()), 0);
}

// An API server of Kubernetes that knows pods, as far as TokenReview goes.
class ReviewingApiServer {
 public:
  explicit ReviewingApiServer(const server::TestCa& ca)
      : server_(ca.Issue(), [this](server::RawPeer& peer) {
          peer.ReadMessage();
          peer.Write(Answer());
          peer.Close();
          peer.ReadToEnd();
        }) {}

  ~ReviewingApiServer() { SetAnswering(true); }

  std::string origin() const { return absl::StrCat("https://127.0.0.1:", server_.port()); }
  void DeletePods() {
    absl::MutexLock lock(&mutex_);
    pods_ = false;
  }
  // Whether whoever asks is answered.
  void SetAnswering(bool answering) {
    absl::MutexLock lock(&mutex_);
    answering_ = answering;
  }

 private:
  std::string Answer() {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&answering_));
    const std::string body =
        absl::StrCat(R"({"kind":"TokenReview","status":{"authenticated":)", pods_ ? "true" : "false",
                     R"(,"user":{"username":"system:serviceaccount:tools:mcp"},"audiences":["keyferry"]}})");
    return absl::StrCat("HTTP/1.1 201 Created\r\nContent-Length: ", body.size(), "\r\n\r\n", body);
  }

  absl::Mutex mutex_;
  bool pods_ = true;
  bool answering_ = true;
  server::RawServer server_;
};

class WorkloadIdentityTest : public ::testing::Test {
 protected:
  WorkloadIdentityTest() : directory_(storage::MakeTestDirectory()), key_(JwtAlgorithm::kRs256, "k1") {
    WriteFile(jwks_file(), server::TestJwks(key_.Jwk()));
    config::Issuer& issuer = *identity_.add_issuers();
    issuer.set_name("cluster");
    issuer.set_kind("kubernetes");
    issuer.set_issuer(kIssuer);
    issuer.set_jwks_file(jwks_file());
  }

  void Start() {
    ASSERT_TRUE(server::CompleteIdentity(&identity_).ok());
    world_ = std::make_unique<World>(nullptr, identity_);
  }
  std::string jwks_file() const { return directory_ + "/jwks.json"; }
  std::string PodToken(const TestJwtKey& key, const std::string& pod = "pod-0") const {
    return key.Sign(server::TestServiceAccountClaims(kIssuer, "tools", "mcp", pod, "uid-" + pod, world_->now()));
  }
  grpc::Status CallWith(const std::string& token, const std::string& method, const std::string& request,
                        std::string* response = nullptr) {
    return world_->CallBytes({"Bearer " + token}, method, MakeRequest(method, request)->SerializeAsString(), response);
  }
  // "orgs/..." or the reason of the refusal.
  std::string WhoIs(const std::string& token) {
    std::string response;
    const grpc::Status status = CallWith(token, "TokenService.GetCaller", "", &response);
    if (!status.ok()) {
      EXPECT_EQ(world_->WhatIsWrong(status), "");
      return DetailOf(status).reason();
    }
    v1::Caller caller;
    caller.ParseFromString(response);
    return caller.principal();
  }
  // Tokens are reviewed by that server.
  void ReviewBy(const ReviewingApiServer& api, const server::TestCa& ca) {
    WriteFile(directory_ + "/api-ca.pem", ca.certificate());
    WriteFile(directory_ + "/own-token", "own");
    config::TokenReview& review = *identity_.mutable_issuers(0)->mutable_token_review();
    review.set_url(api.origin());
    review.set_ca_file(directory_ + "/api-ca.pem");
    review.set_token_file(directory_ + "/own-token");
  }
  void Grant() { world_->MustCall(Who::kAdmin, "DirectoryService.UpdateWorkload", kGrantPod); }
  void Revoke() {
    world_->MustCall(Who::kAdmin, "DirectoryService.UpdateWorkload",
                     "workload { name: 'orgs/acme/workloads/runner' } update_mask { paths: 'identities' }");
  }

  const std::string directory_;
  const TestJwtKey key_;
  config::Identity identity_;
  std::unique_ptr<World> world_;
};

TEST_F(WorkloadIdentityTest, AProjectedTokenResolvesWhatItsWorkloadIsGranted) {
  Start();
  const std::string token = PodToken(key_);
  EXPECT_EQ(WhoIs(token), "IDENTITY_REFUSED");
  Grant();
  EXPECT_EQ(WhoIs(token), "orgs/acme/workloads/runner");
  std::string response;
  ASSERT_TRUE(CallWith(token, "ResolutionService.Resolve", kResolve, &response).ok());
  v1::ResolveResponse resolved;
  ASSERT_TRUE(resolved.ParseFromString(response));
  EXPECT_GT(resolved.variables_size(), 0);
  EXPECT_FALSE(CallWith(token, "ResolutionService.Resolve", "mcp_server: 'orgs/acme/mcpServers/other'").ok());
  EXPECT_FALSE(CallWith(token, "CredentialService.ListCredentials", "parent: 'orgs/acme'").ok());

  // What is attested stands in the log and in the record of the process, whatever the process says of itself.
  v1::ListAuditEntriesResponse log;
  log.ParseFromString(world_->MustCall(Who::kAdmin, "AuditService.ListAuditEntries",
                                       "parent: 'orgs/acme' filter { method: 'ResolutionService/Resolve' "
                                       "principal: 'orgs/acme/workloads/runner' }"));
  bool found = false;
  for (const v1::AuditEntry& entry : log.entries()) {
    if (entry.code() != 0 || entry.process().process_id() != "p1") continue;
    found = true;
    EXPECT_EQ(entry.identity().issuer(), "cluster");
    EXPECT_EQ(entry.identity().subject(), "system:serviceaccount:tools:mcp");
    EXPECT_EQ(entry.identity().pod(), "pod-0");
    EXPECT_EQ(entry.identity().pod_uid(), "uid-pod-0");
    EXPECT_EQ(entry.process().pod(), "pod-0");
  }
  EXPECT_TRUE(found);

  Revoke();
  EXPECT_EQ(WhoIs(token), "IDENTITY_REFUSED");
}

TEST_F(WorkloadIdentityTest, BadTokensAreRefusedAlike) {
  Start();
  Grant();
  const TestJwtKey stranger(JwtAlgorithm::kRs256, "k1");
  EXPECT_EQ(WhoIs(PodToken(stranger)), "IDENTITY_REFUSED");
  EXPECT_EQ(WhoIs(PodToken(key_) + "A"), "IDENTITY_REFUSED");
  EXPECT_EQ(WhoIs("eyJhbGciOiJub25lIn0.e30."), "IDENTITY_REFUSED");
  const std::string token = PodToken(key_);
  EXPECT_EQ(WhoIs(token), "orgs/acme/workloads/runner");
  world_->Advance(absl::Hours(1) + absl::Seconds(60));
  EXPECT_EQ(WhoIs(token), "IDENTITY_REFUSED");
}

TEST_F(WorkloadIdentityTest, ARotatedKeyIsFoundByTheFirstTokenOfIt) {
  Start();
  Grant();
  EXPECT_EQ(WhoIs(PodToken(key_)), "orgs/acme/workloads/runner");
  const TestJwtKey next(JwtAlgorithm::kEs256, "k2");
  WriteFile(jwks_file(), server::TestJwks(absl::StrCat(key_.Jwk(), ",", next.Jwk())));
  world_->Advance(absl::Seconds(2));
  EXPECT_EQ(WhoIs(PodToken(next)), "orgs/acme/workloads/runner");
}

TEST_F(WorkloadIdentityTest, GrantsAreForAdminsAndForOneWorkload) {
  Start();
  for (const Who who : {Who::kMember, Who::kOwner, Who::kService, Who::kWorkload, Who::kRival}) {
    EXPECT_FALSE(world_->Call(who, "DirectoryService.UpdateWorkload", kGrantPod).ok()) << NameOf(who);
  }
  Grant();
  const std::string create =
      "workload_id: 'copy' workload { identities { kubernetes { issuer: 'cluster' namespace: 'tools' service_account: "
      "'mcp' } } }";
  EXPECT_EQ(
      DetailOf(world_->Call(Who::kAdmin, "DirectoryService.CreateWorkload", "parent: 'orgs/acme' " + create)).reason(),
      "IDENTITY_TAKEN");
  // Another organization is not told that anybody has it.
  const grpc::Status rival =
      world_->Call(Who::kRival, "DirectoryService.CreateWorkload", "parent: 'orgs/rival' " + create);
  EXPECT_EQ(DetailOf(rival).reason(), "INVALID_FIELD");
  EXPECT_FALSE(absl::StrContains(rival.error_message(), "acme")) << rival.error_message();
}

TEST_F(WorkloadIdentityTest, AnIssuerOfOneOrganizationLetsNobodyIntoAnother) {
  identity_.mutable_issuers(0)->add_orgs("rival");
  Start();
  const grpc::Status refused = world_->Call(Who::kAdmin, "DirectoryService.UpdateWorkload", kGrantPod);
  EXPECT_EQ(DetailOf(refused).reason(), "INVALID_FIELD");
  EXPECT_EQ(WhoIs(PodToken(key_)), "IDENTITY_REFUSED");
}

TEST_F(WorkloadIdentityTest, TheTokenOfADeletedPodEndsWithItsReview) {
  const server::TestCa ca;
  ReviewingApiServer api(ca);
  ReviewBy(api, ca);
  Start();
  Grant();
  const std::string token = PodToken(key_);
  EXPECT_EQ(WhoIs(token), "orgs/acme/workloads/runner");
  api.DeletePods();
  world_->Advance(absl::Seconds(11));
  EXPECT_EQ(WhoIs(token), "IDENTITY_REFUSED");
}

TEST_F(WorkloadIdentityTest, AStreamIsOpenedByTheAnswerOfTheLastMinute) {
  const server::TestCa ca;
  ReviewingApiServer api(ca);
  ReviewBy(api, ca);
  Start();
  Grant();
  const std::string token = PodToken(key_);
  EXPECT_EQ(WhoIs(token), "orgs/acme/workloads/runner");
  // As an injector does that had to wait before it came again.
  world_->Advance(absl::Seconds(30));
  api.SetAnswering(false);
  grpc::ClientContext context;
  context.AddMetadata("authorization", "Bearer " + token);
  v1::WatchRequest request;
  request.mutable_resolve()->set_mcp_server("orgs/acme/mcpServers/github");
  const auto stub = v1::ResolutionService::NewStub(world_->channel());
  const auto reader = stub->Watch(&context, request);
  v1::WatchResponse first;
  const bool opened = reader->Read(&first);
  EXPECT_TRUE(opened && first.has_environment());
  context.TryCancel();
  if (!opened) ADD_FAILURE() << reader->Finish().error_message();
}

TEST_F(WorkloadIdentityTest, ACallThatIsTooLargeDoesNotWaitForAReview) {
  const server::TestCa ca;
  ReviewingApiServer api(ca);
  ReviewBy(api, ca);
  Start();
  Grant();
  api.SetAnswering(false);
  const grpc::Status refused = CallWith(PodToken(key_), "ResolutionService.Resolve",
                                        absl::StrCat("mcp_server: '", std::string(300 << 10, 'a'), "'"));
  EXPECT_EQ(DetailOf(refused).reason(), "INVALID_FIELD") << refused.error_message();
}

TEST_F(WorkloadIdentityTest, AnInjectorRunsWithAProjectedTokenAndItsSuccessor) {
  Start();
  Grant();
  injector::ExecOptions exec;
  exec.mcp_server = "github";
  exec.startup_timeout = absl::Seconds(20);
  exec.connection.address = world_->address();
  exec.connection.ca_file = world_->directory() + "/ca.pem";
  exec.connection.token_file = directory_ + "/token";
  exec.connection.org = "acme";
  exec.command = {"true"};
  WriteFile(exec.connection.token_file, PodToken(key_));
  injector::EnvironmentSource::Options options;
  options.startup_timeout = exec.startup_timeout;
  options.debounce = absl::Milliseconds(1);
  options.refused = {absl::Milliseconds(50), absl::Milliseconds(200)};
  options.unreachable = {absl::Milliseconds(10), absl::Milliseconds(100)};
  options.file_check = absl::Milliseconds(20);
  auto access = injector::ServerAccess::Load(exec, [](const char*) -> const char* { return nullptr; });
  ASSERT_TRUE(access.ok()) << access.status();
  v1::ProcessInfo process;
  process.set_process_id("supervised");
  injector::ResolvedEnvironment first;
  injector::Failure failure;
  const auto source = injector::EnvironmentSource::Open(*std::move(access), process, options, &first, &failure);
  ASSERT_NE(source, nullptr) << failure.message;
  RecordingListener listener;
  source->Start(&listener);
  // The kubelet replaces the token; the first one ends.
  world_->Advance(absl::Minutes(50));
  WriteFile(exec.connection.token_file, PodToken(key_));
  world_->Advance(absl::Minutes(20));
  world_->MustCall(Who::kAdmin, "CredentialService.RotateCredential",
                   "name: 'orgs/acme/credentials/GITHUB_TOKEN' value: 'next'");
  // That the first token has ended may be told before.
  std::string told;
  do {
    told = listener.Next();
  } while (told != "nothing" && !absl::StartsWith(told, "environment "));
  EXPECT_TRUE(absl::StrContains(told, "GITHUB_TOKEN=v2")) << told;
}

class SpiffeTest : public WorkloadIdentityTest {
 protected:
  SpiffeTest() {
    identity_.clear_issuers();
    config::SpiffeTrustDomain& domain = *identity_.add_spiffe();
    domain.set_trust_domain("prod.example.com");
    domain.set_bundle_file(directory_ + "/bundle.pem");
    WriteFile(directory_ + "/bundle.pem", ca_.certificate());
    Start();
    world_->MustCall(Who::kAdmin, "DirectoryService.UpdateWorkload",
                     absl::StrCat("workload { name: 'orgs/acme/workloads/runner' identities { spiffe_id: '", kSpiffeId,
                                  "' } } update_mask { paths: 'identities' }"));
  }
  // Who calls over a connection with that certificate, and with a token if one is given; or the reason.
  std::string WhoShows(const server::TestIdentity& certificate, const std::string& authorization = "") {
    grpc::SslCredentialsOptions tls;
    tls.pem_root_certs = world_->ca();
    tls.pem_cert_chain = certificate.certificate;
    tls.pem_private_key = certificate.key;
    const auto stub = v1::TokenService::NewStub(grpc::CreateChannel(world_->address(), grpc::SslCredentials(tls)));
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    if (!authorization.empty()) context.AddMetadata("authorization", authorization);
    v1::Caller caller;
    const grpc::Status status = stub->GetCaller(&context, v1::GetCallerRequest(), &caller);
    return status.ok() ? caller.principal() : DetailOf(status).reason();
  }
  static server::TestCa::Form Form(const std::string& id) {
    server::TestCa::Form form;
    form.names = "URI:" + id;
    return form;
  }

  const server::TestCa ca_;
};

TEST_F(SpiffeTest, ACertificateCallsAsItsWorkload) {
  EXPECT_EQ(WhoShows(ca_.Issue(Form(kSpiffeId))), "orgs/acme/workloads/runner");
  EXPECT_EQ(WhoShows(ca_.Issue(Form("spiffe://prod.example.com/tools/other"))), "IDENTITY_REFUSED");
  EXPECT_EQ(WhoShows(ca_.Issue(Form("spiffe://dev.example.com/tools/mcp"))), "IDENTITY_REFUSED");
  EXPECT_EQ(WhoShows(server::TestCa().Issue(Form(kSpiffeId))), "IDENTITY_REFUSED");
  // A token counts before a certificate, and none of both is none.
  EXPECT_EQ(WhoShows(ca_.Issue(Form(kSpiffeId)), world_->Bearer(Who::kMember)), "orgs/acme/users/mia");
  EXPECT_EQ(WhoShows({"", ""}), "TOKEN_MISSING");
  Revoke();
  EXPECT_EQ(WhoShows(ca_.Issue(Form(kSpiffeId))), "IDENTITY_REFUSED");
}

TEST_F(SpiffeTest, ACertificateOfAnotherCaIsNoneOnceTheBundleIsReplaced) {
  const server::TestIdentity shown = ca_.Issue(Form(kSpiffeId));
  EXPECT_EQ(WhoShows(shown), "orgs/acme/workloads/runner");
  WriteFile(directory_ + "/bundle.pem", server::TestCa().certificate());
  world_->Advance(absl::Seconds(6));
  EXPECT_EQ(WhoShows(shown), "IDENTITY_REFUSED");
}

}  // namespace
}  // namespace keyferry::testing
