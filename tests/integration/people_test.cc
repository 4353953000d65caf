// People who call with an ID token of an issuer of OpenID Connect, against a real server and an issuer over TLS.
#include <sys/stat.h>

#include <cstdio>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "client/cli/run.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "keyferry/v1/audit.pb.h"
#include "keyferry/v1/directory.pb.h"
#include "keyferry/v1/resolution.grpc.pb.h"
#include "keyferry/v1/tokens.pb.h"
#include "server/config/identity_config.h"
#include "server/http/testing_tls.h"
#include "server/identity/jwt/testing_jwt.h"
#include "storage/testing_store.h"
#include "tests/integration/world.h"

namespace keyferry::testing {
namespace {

using server::JwtAlgorithm;
using server::TestJwtKey;

constexpr char kGithub[] = "orgs/acme/mcpServers/github";

// Serves its metadata and its keys.
class MockIssuer {
 public:
  MockIssuer(const server::TestCa& ca, std::string jwks)
      : keys_(std::move(jwks)), server_(ca.Issue(), [this](server::RawPeer& peer) {
          const std::string request = peer.ReadMessage();
          const std::string body = absl::StartsWith(request, "GET /keys ") ? Keys() : Metadata();
          peer.Write(absl::StrCat("HTTP/1.1 200 OK\r\nContent-Length: ", body.size(), "\r\n\r\n", body));
          peer.Close();
          peer.ReadToEnd();
        }) {}

  std::string origin() const { return absl::StrCat("https://127.0.0.1:", server_.port()); }
  int asked() { return server_.accepted(); }

 private:
  std::string Keys() {
    absl::MutexLock lock(&mutex_);
    return keys_;
  }
  std::string Metadata() const {
    return absl::StrCat(R"({"issuer":")", origin(), R"(","jwks_uri":")", origin(), R"(/keys"})");
  }

  absl::Mutex mutex_;
  std::string keys_ ABSL_GUARDED_BY(mutex_);
  server::RawServer server_;
};

// A watch that is open.
class OpenWatch {
 public:
  OpenWatch(World* world, const std::string& token) : stub_(v1::ResolutionService::NewStub(world->channel())) {
    context_.AddMetadata("authorization", "Bearer " + token);
    v1::WatchRequest request;
    request.mutable_resolve()->set_mcp_server(kGithub);
    request.mutable_debounce()->set_nanos(1000000);
    reader_ = stub_->Watch(&context_, request);
  }
  ~OpenWatch() { context_.TryCancel(); }

  // The next environment or problem; false if the watch has ended.
  bool Next() {
    v1::WatchResponse message;
    while (reader_->Read(&message)) {
      if (!message.has_heartbeat()) return true;
    }
    return false;
  }
  // How it ended.
  grpc::StatusCode End() {
    while (Next()) {
    }
    return reader_->Finish().error_code();
  }

 private:
  const std::unique_ptr<v1::ResolutionService::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::WatchResponse>> reader_;
};

class PeopleTest : public ::testing::Test {
 protected:
  PeopleTest() : key_(JwtAlgorithm::kRs256, "k1"), issuer_(ca_, server::TestJwks(key_.Jwk())) {
    config::Issuer& corp = *identity_.add_issuers();
    corp.set_name("corp");
    corp.set_kind("oidc");
    corp.set_issuer(issuer_.origin());
    corp.set_discovery(true);
    corp.set_ca_file(ca_.WriteFile("issuer-ca.pem"));
    corp.add_audience("keyferry-cli");
    corp.add_orgs("acme");
  }

  config::Issuer& corp() { return *identity_.mutable_issuers(0); }
  static config::Identity Completed(config::Identity identity) {
    const absl::Status completed = server::CompleteIdentity(&identity);
    EXPECT_TRUE(completed.ok()) << completed;
    return identity;
  }
  void Start() { world_ = std::make_unique<World>(nullptr, Completed(identity_)); }
  // As SIGHUP does.
  absl::Status Reload() {
    auto trust = world_->server()->PrepareIdentity(Completed(identity_));
    if (!trust.ok()) return trust.status();
    world_->server()->UseIdentity(*std::move(trust));
    return absl::OkStatus();
  }
  std::string Claims(const std::string& sub, const std::string& more = "") const {
    const int64_t now = absl::ToUnixSeconds(world_->now());
    return absl::StrCat(R"({"iss":")", issuer_.origin(), R"(","sub":")", sub,
                        R"(","aud":"keyferry-cli","nonce":"n","iat":)", now, R"(,"exp":)", now + 3600, more, "}");
  }
  std::string Token(const std::string& sub, const std::string& more = "") const { return key_.Sign(Claims(sub, more)); }
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
    EXPECT_EQ(caller.issuer(), "corp");
    return caller.principal();
  }

  const server::TestCa ca_;
  const TestJwtKey key_;
  MockIssuer issuer_;
  config::Identity identity_;
  std::unique_ptr<World> world_;
};

TEST_F(PeopleTest, AnIdTokenCallsAsItsUserAndTheLogNamesBoth) {
  Start();
  const std::string token = Token("mia");
  EXPECT_EQ(WhoIs(token), "orgs/acme/users/mia");
  EXPECT_TRUE(CallWith(token, "CredentialService.ListCredentials", "parent: 'orgs/acme'").ok());
  EXPECT_EQ(CallWith(token, "DirectoryService.CreateTeam", "parent: 'orgs/acme' team_id: 'x'").error_code(),
            grpc::PERMISSION_DENIED);
  // A change, which runs elsewhere and asks once more who calls.
  EXPECT_TRUE(CallWith(token, "CredentialService.CreateCredential",
                       "parent: 'orgs/acme/users/mia' credential_id: 'OWN' value: 'x'")
                  .ok());
  v1::ListAuditEntriesResponse log;
  log.ParseFromString(world_->MustCall(Who::kAdmin, "AuditService.ListAuditEntries",
                                       "parent: 'orgs/acme' filter { principal: 'orgs/acme/users/mia' }"));
  std::map<std::string, std::string> seen;
  for (const v1::AuditEntry& entry : log.entries()) {
    if (entry.identity().issuer() == "corp") seen[entry.method()] = entry.identity().subject();
  }
  for (const char* method : {"keyferryd/EnrollUser", "CredentialService/ListCredentials", "DirectoryService/CreateTeam",
                             "CredentialService/CreateCredential"}) {
    EXPECT_EQ(seen[method], "mia") << method;
  }
  EXPECT_EQ(WhoIs(Token("nobody")), "IDENTITY_REFUSED");
  const grpc::Status refused = CallWith(Token("nobody"), "TokenService.GetCaller", "");
  EXPECT_TRUE(absl::StrContains(refused.error_message(), "there is no user `orgs/acme/users/nobody`"))
      << refused.error_message();
  world_->MustCall(Who::kAdmin, "DirectoryService.CreateUser",
                   "parent: 'orgs/acme' user_id: 'nobody' user { role: ORG_ROLE_MEMBER }");
  EXPECT_EQ(WhoIs(Token("nobody")), "orgs/acme/users/nobody") << "at once";
}

TEST_F(PeopleTest, TheCommandLineTakesAnIdTokenAndSaysByWhomOneIsKnown) {
  Start();
  const std::string token_file = world_->directory() + "/id-token";
  std::ofstream(token_file) << Token("mia") << "\n";
  ASSERT_EQ(chmod(token_file.c_str(), 0600), 0);
  const std::map<std::string, std::string> variables = {{"KEYFERRY_ADDRESS", world_->address()},
                                                        {"KEYFERRY_CA_FILE", world_->directory() + "/ca.pem"},
                                                        {"KEYFERRY_ORG", "acme"}};
  std::ostringstream output, error;
  client::cli::Streams streams;
  streams.output = &output;
  streams.error = &error;
  streams.environment = [&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  };
  streams.now = absl::Now;
  streams.sleep = absl::SleepFor;
  EXPECT_EQ(client::cli::Run({"whoami", "--token-file", token_file, "-o", "json"}, streams), 0) << error.str();
  EXPECT_TRUE(absl::StrContains(output.str(), "orgs/acme/users/mia")) << output.str();
  EXPECT_TRUE(absl::StrContains(output.str(), "the issuer corp, as mia")) << output.str();
}

TEST_F(PeopleTest, HostileTokensAreRefusedAlike) {
  Start();
  EXPECT_EQ(WhoIs(Token("mia")), "orgs/acme/users/mia");
  const TestJwtKey stranger(JwtAlgorithm::kRs256, "k1");
  const std::string claims = Claims("mia");
  const auto changed = [&](const std::string& from, const std::string& to) {
    const std::string other = absl::StrReplaceAll(claims, {{from, to}});
    EXPECT_NE(other, claims);
    return key_.Sign(other);
  };
  const std::string unsigned_token = key_.SignText(R"({"alg":"none"})", claims);
  const std::pair<const char*, std::string> tokens[] = {
      {"another's key", stranger.Sign(claims)},
      {"alg none", unsigned_token.substr(0, unsigned_token.rfind('.') + 1)},
      {"alg HS256", key_.SignText(R"({"alg":"HS256","kid":"k1"})", claims)},
      {"a key of its own",
       stranger.SignText(absl::StrCat(R"({"alg":"RS256","kid":"k1","jwk":)", stranger.Jwk(), "}"), claims)},
      {"a path as kid", key_.SignText(R"({"alg":"RS256","kid":"../../k1"})", claims)},
      {"an access token", key_.SignText(R"({"alg":"RS256","kid":"k1","typ":"at+jwt"})", claims)},
      {"another audience", changed(R"("aud":"keyferry-cli")", R"("aud":"other")")},
      {"another client", changed(R"("nonce":"n")", R"("azp":"other")")},
      {"several audiences", changed(R"("aud":"keyferry-cli")", R"("aud":["keyferry-cli","other"])")},
      {"another issuer", changed(issuer_.origin(), issuer_.origin() + "/")},
      {"a workload's", changed(R"("nonce":"n")", R"("kubernetes.io":{"namespace":"tools"})")},
      {"a name twice", changed(R"("sub":"mia")", R"("sub":"mia","sub":"root")")},
      {"a list as user", changed(R"("sub":"mia")", R"("sub":["mia"])")},
      {"expired", changed(R"("exp":)", R"("exp":1,"x":)")},
  };
  for (const auto& [name, token] : tokens) EXPECT_EQ(WhoIs(token), "IDENTITY_REFUSED") << name;
}

TEST_F(PeopleTest, UsersAreMadeWithTheRolesOfTheirClaimsAndNoOthers) {
  config::People& people = *corp().mutable_people();
  people.set_users("create");
  people.set_role_claim("groups");
  for (const auto& [value, role] : {std::pair("staff", "member"), std::pair("admins", "admin")}) {
    config::RoleOfValue& one = *people.add_roles();
    one.set_value(value);
    one.set_role(role);
  }
  people.set_teams_claim("groups");
  config::TeamOfValue& team = *people.add_teams();
  team.set_value("eng-leads");
  team.set_team("eng");
  team.set_role("owner");
  Start();
  const std::string token = Token("neo", R"(,"groups":["staff","eng-leads"],"role":"admin","org":"rival")");
  // A change as the very first call.
  EXPECT_TRUE(CallWith(token, "CredentialService.CreateCredential",
                       "parent: 'orgs/acme/teams/eng' credential_id: 'NEO' value: 'x'")
                  .ok());
  EXPECT_EQ(WhoIs(token), "orgs/acme/users/neo");
  EXPECT_FALSE(CallWith(token, "DirectoryService.CreateTeam", "parent: 'orgs/acme' team_id: 'x'").ok());
  for (const char* groups : {R"(,"groups":["Admins"])", R"(,"groups":"staff admins")", R"(,"groups":[])", ""}) {
    EXPECT_EQ(WhoIs(Token("eve", groups)), "IDENTITY_REFUSED") << groups;
  }
  EXPECT_FALSE(world_->Call(Who::kAdmin, "DirectoryService.GetUser", "name: 'orgs/acme/users/eve'").ok());
  // Nobody chooses to be a user that the issuer has not made.
  EXPECT_EQ(WhoIs(Token("root", R"(,"groups":["staff"])")), "IDENTITY_REFUSED");
  world_->Advance(absl::Seconds(1));
  EXPECT_EQ(WhoIs(Token("neo", R"(,"groups":["staff"])")), "orgs/acme/users/neo");
  EXPECT_FALSE(CallWith(token, "CredentialService.CreateCredential",
                        "parent: 'orgs/acme/teams/eng' credential_id: 'NEO2' value: 'x'")
                   .ok())
      << "what was taken away is taken from older tokens too";
}

TEST_F(PeopleTest, AWatchEndsWithItsUser) {
  Start();
  const std::string token = Token("mia");
  ASSERT_EQ(WhoIs(token), "orgs/acme/users/mia");
  OpenWatch watch(world_.get(), token);
  ASSERT_TRUE(watch.Next());
  world_->MustCall(Who::kAdmin, "DirectoryService.DeleteUser", "name: 'orgs/acme/users/mia'");
  EXPECT_EQ(watch.End(), grpc::UNAUTHENTICATED);
  EXPECT_EQ(WhoIs(token), "IDENTITY_REFUSED");
}

TEST_F(PeopleTest, AReloadKeepsTheWatchesOfThoseWhoAreTrustedAndEndsTheOthers) {
  Start();
  const std::string token = Token("mia");
  ASSERT_EQ(WhoIs(token), "orgs/acme/users/mia");
  OpenWatch watch(world_.get(), token);
  ASSERT_TRUE(watch.Next());
  // Another audience besides, and another issuer.
  corp().add_audience("keyferry-web");
  config::Issuer& cluster = *identity_.add_issuers();
  cluster.set_name("cluster");
  cluster.set_kind("kubernetes");
  cluster.set_issuer("cluster");
  cluster.set_jwks_file(corp().ca_file() + ".jwks");
  std::ofstream(cluster.jwks_file()) << server::TestJwks(key_.Jwk());
  ASSERT_EQ(chmod(cluster.jwks_file().c_str(), 0600), 0);
  const int asked = issuer_.asked();
  ASSERT_EQ(Reload(), absl::OkStatus());
  EXPECT_EQ(issuer_.asked(), asked) << "its keys are where they were";
  EXPECT_EQ(WhoIs(token), "orgs/acme/users/mia");
  EXPECT_EQ(WhoIs(key_.Sign(absl::StrReplaceAll(Claims("mia"), {{"keyferry-cli", "keyferry-web"}}))),
            "orgs/acme/users/mia");
  world_->MustCall(Who::kAdmin, "CredentialService.RotateCredential",
                   "name: 'orgs/acme/credentials/GITHUB_TOKEN' value: 'next'");
  EXPECT_TRUE(watch.Next()) << "it goes on";
  // The audience that the token is for is configured no more.
  corp().clear_audience();
  corp().add_audience("keyferry-web");
  ASSERT_EQ(Reload(), absl::OkStatus());
  EXPECT_EQ(watch.End(), grpc::UNAUTHENTICATED);
  EXPECT_EQ(WhoIs(token), "IDENTITY_REFUSED");
}

TEST_F(PeopleTest, AnIssuerThatIsTakenOutEndsItsWatches) {
  Start();
  const std::string token = Token("mia");
  ASSERT_EQ(WhoIs(token), "orgs/acme/users/mia");
  OpenWatch watch(world_.get(), token);
  ASSERT_TRUE(watch.Next());
  const config::Identity before = identity_;
  identity_.clear_issuers();
  ASSERT_EQ(Reload(), absl::OkStatus());
  EXPECT_EQ(watch.End(), grpc::UNAUTHENTICATED);
  EXPECT_EQ(WhoIs(token), "TOKEN_MALFORMED") << "no tokens of issuers are taken";
  identity_ = before;
  ASSERT_EQ(Reload(), absl::OkStatus());
  EXPECT_EQ(WhoIs(token), "orgs/acme/users/mia");
}

TEST_F(PeopleTest, AConfigurationThatCannotBeUsedChangesNothing) {
  Start();
  const std::string token = Token("mia");
  ASSERT_EQ(WhoIs(token), "orgs/acme/users/mia");
  const config::Identity before = identity_;
  corp().clear_audience();
  corp().add_audience("other");
  config::Issuer& absent = *identity_.add_issuers();
  absent = before.issuers(0);
  absent.set_name("absent");
  absent.set_issuer(absl::StrCat("https://127.0.0.1:", server::ClosedPort()));
  const absl::Status unreachable = Reload();
  EXPECT_TRUE(absl::IsUnavailable(unreachable)) << unreachable;
  EXPECT_TRUE(absl::StrContains(unreachable.message(), "`absent`")) << unreachable;
  EXPECT_EQ(WhoIs(token), "orgs/acme/users/mia");
  identity_ = before;
  identity_.add_spiffe()->set_trust_domain("prod.example.com");
  identity_.mutable_spiffe(0)->set_bundle_file(corp().ca_file());
  EXPECT_TRUE(absl::IsFailedPrecondition(Reload())) << "clients are asked for certificates from the start or never";
  EXPECT_EQ(WhoIs(token), "orgs/acme/users/mia");
}

TEST_F(PeopleTest, AnAddressOfWhichTooMuchWasVerifiedInVainHasNoNewTokensVerified) {
  Start();
  const std::string known = Token("mia");
  ASSERT_EQ(WhoIs(known), "orgs/acme/users/mia");
  server::CallRates rates;
  // None comes back while this runs.
  rates.failed_verification = {1, 100000};
  rates.failed_authentication = {1, 5};
  world_->server()->SetRates(rates);
  for (int i = 0; i < 30; ++i) (void)CallWith("not.a.token", "TokenService.GetCaller", "");
  EXPECT_EQ(WhoIs(Token("mia", R"(,"n":1)")), "orgs/acme/users/mia") << "what costs no signature is in nobody's way";
  const TestJwtKey stranger(JwtAlgorithm::kRs256, "k1");
  rates.failed_verification = {1, 5};
  world_->server()->SetRates(rates);
  // A good one that is new, right after as many as are too many.
  std::string fresh;
  for (int i = 0; i < 50 && fresh != "RATE_LIMITED"; ++i) {
    for (int k = 0; k < 6; ++k) {
      (void)CallWith(stranger.Sign(Claims(absl::StrCat("made-up-", i, "-", k))), "TokenService.GetCaller", "");
    }
    fresh = WhoIs(Token("mia", absl::StrCat(",\"n\":", i + 2)));
  }
  EXPECT_EQ(fresh, "RATE_LIMITED");
  EXPECT_EQ(WhoIs(known), "orgs/acme/users/mia") << "a token that is known is refused for no address";
}

}  // namespace
}  // namespace keyferry::testing
