#include "server/reloads.h"

#include <sys/stat.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "keyferry/v1/tokens.grpc.pb.h"
#include "server/config/config.h"
#include "server/config/identity_config.h"
#include "server/directory/bootstrap.h"
#include "server/http/testing_tls.h"
#include "server/identity/jwt/testing_jwt.h"
#include "server/server_options.h"
#include "storage/crypto/key_provider.h"
#include "storage/open.h"
#include "storage/store.h"
#include "storage/testing_store.h"

namespace keyferry::server {
namespace {

// Forwards to another store. A view from before stands whenever the KEK is changed.
class LingeringStore : public storage::Store {
 public:
  explicit LingeringStore(std::unique_ptr<storage::Store> store) : store_(std::move(store)) {}
  std::unique_ptr<storage::StoreView> View() override { return store_->View(); }
  absl::StatusOr<storage::Revision> Commit(const storage::Mutation& mutation, storage::Durability durability) override {
    return store_->Commit(mutation, durability);
  }
  void SetJournalListener(storage::JournalListener listener) override {
    store_->SetJournalListener(std::move(listener));
  }
  absl::Status Sync() override { return store_->Sync(); }
  absl::Status CreateKeyring(absl::string_view org) override { return store_->CreateKeyring(org); }
  absl::Status DestroyOrg(absl::string_view org) override { return store_->DestroyOrg(org); }
  absl::StatusOr<storage::KeyringInfo> GetKeyringInfo(absl::string_view org) override {
    return store_->GetKeyringInfo(org);
  }
  absl::Status RotateDataKey(absl::string_view org) override { return store_->RotateDataKey(org); }
  absl::Status RotateKek(const storage::KeyProvider& next) override { return store_->RotateKek(next); }
  absl::Status CheckKek(const storage::KeyProvider& key_provider) override { return store_->CheckKek(key_provider); }
  uint64_t Generation(storage::Table table) const override { return store_->Generation(table); }
  absl::Status WaitForPurge(absl::Duration timeout) override {
    // Longer, and a signal that asks to stop would wait as well.
    EXPECT_LE(timeout, absl::Seconds(1));
    return absl::DeadlineExceededError("deleted values are not yet gone from the files");
  }
  absl::StatusOr<std::unique_ptr<storage::EngineWatch>> Watch(
      storage::Revision after, std::function<void(const storage::StoreChange&)> on_change) override {
    return store_->Watch(after, std::move(on_change));
  }
  absl::Status Verify() override { return store_->Verify(); }
  storage::StoreStatistics Statistics() override { return store_->Statistics(); }

 private:
  const std::unique_ptr<storage::Store> store_;
};

// A server with all its listeners on free loopback ports, and its files in a directory.
class ReloadsTest : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = storage::MakeTestDirectory();
    WriteIdentity(first_ca_.Issue());
    Write("metrics.token", "0123456789abcdef");
    ASSERT_TRUE(storage::CreateKekFile(Path("kek")).ok());
    config_.set_listen("127.0.0.1:0");
    config_.set_data_dir(Path("store"));
    config_.mutable_key_provider()->set_file(Path("kek"));
    config_.mutable_log()->set_level("info");
    config_.mutable_tls()->set_cert_file(Path("cert.pem"));
    config_.mutable_tls()->set_key_file(Path("key.pem"));
    config_.mutable_http()->set_listen("127.0.0.1:0");
    config_.mutable_http()->mutable_tls()->set_cert_file(Path("cert.pem"));
    config_.mutable_http()->mutable_tls()->set_key_file(Path("key.pem"));
    config_.mutable_metrics()->set_listen("127.0.0.1:0");
    *config_.mutable_metrics()->mutable_tls() = config_.http().tls();
    config_.mutable_metrics()->set_token_file(Path("metrics.token"));
    const absl::Status completed = CompleteConfig(&config_);
    ASSERT_TRUE(completed.ok()) << completed;
    auto metrics = MetricsListener::Start(MetricsOptions(config_.metrics()));
    ASSERT_TRUE(metrics.ok()) << metrics.status();
    metrics_ = *std::move(metrics);
    StartServer();
    Watch(absl::ZeroDuration());
  }

  void StartServer() {
    storage::OpenOptions open;
    open.data_dir = Path("store");
    open.create = true;
    open.memory_budget = size_t{16} << 20;
    auto store = storage::OpenStore(open, **storage::LoadFileKeyProvider(Path("kek")));
    ASSERT_TRUE(store.ok()) << store.status();
    absl::Mutex changes;
    const DirectoryContext context{store->get(), absl::Now, nullptr, &changes};
    ASSERT_TRUE(EnsureOrgWithAdmin(context, "acme", v1::TIER_BUSINESS, "root").ok());
    const auto issued = IssueTokenForUser(context, "acme", "root", "", absl::Hours(1));
    ASSERT_TRUE(issued.ok()) << issued.status();
    bearer_ = absl::StrCat("Bearer ", issued->text.Expose());
    auto server = KeyferryServer::Start(std::make_unique<LingeringStore>(*std::move(store)), ServerOptions(config_),
                                        absl::Now, logger_.get());
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  void Watch(absl::Duration interval) {
    reloads_.reset();
    reloads_ = std::make_unique<Reloads>(
        config_,
        [this]() -> absl::StatusOr<config::Config> {
          if (!load_error_.ok()) return load_error_;
          return config_;
        },
        Reloads::Parts{server_.get(), metrics_.get(), logger_.get(), absl::Now}, interval);
  }

  std::string Path(const std::string& name) const { return absl::StrCat(directory_, "/", name); }
  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(Path(name)) << text;
    ASSERT_EQ(chmod(Path(name).c_str(), 0600), 0);
  }
  void WriteIdentity(const TestIdentity& identity) const {
    Write("cert.pem", identity.certificate);
    Write("key.pem", identity.key);
  }
  std::string Metrics() const {
    metrics::Exposition out;
    reloads_->WriteMetrics(&out);
    return out.Take();
  }
  bool Shows(const std::string& line) const { return absl::StrContains(Metrics(), absl::StrCat("\n", line, "\n")); }

  std::shared_ptr<grpc::Channel> Channel(const TestCa& ca) const {
    grpc::SslCredentialsOptions tls;
    tls.pem_root_certs = ca.certificate();
    // Channels of the same arguments would share a connection.
    grpc::ChannelArguments own;
    own.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(server_->address(), grpc::SslCredentials(tls), own);
  }
  grpc::StatusCode Call(const std::shared_ptr<grpc::Channel>& channel) const {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    context.AddMetadata("authorization", bearer_);
    v1::Caller caller;
    return v1::TokenService::NewStub(channel)->GetCaller(&context, {}, &caller).error_code();
  }
  // What a new connection to the listener is shown; "" if it does not trust that.
  std::string ShownAt(const std::string& address, const TestCa& ca) const {
    int port = 0;
    EXPECT_TRUE(absl::SimpleAtoi(address.substr(address.rfind(':') + 1), &port));
    const auto peer = RawPeer::Connect(static_cast<uint16_t>(port), ca);
    return peer->connected() ? peer->PeerCertificate() : "";
  }
  bool AllShow(const TestCa& ca) const {
    return Call(Channel(ca)) == grpc::OK && !ShownAt(server_->oauth().listen_address(), ca).empty() &&
           !ShownAt(metrics_->address(), ca).empty();
  }
  bool NoneShows(const TestCa& ca) const {
    return Call(Channel(ca)) == grpc::UNAVAILABLE && ShownAt(server_->oauth().listen_address(), ca).empty() &&
           ShownAt(metrics_->address(), ca).empty();
  }

  const TestCa first_ca_;
  const TestCa second_ca_;
  std::string directory_;
  std::string bearer_;
  config::Config config_;
  absl::Status load_error_;
  const std::unique_ptr<Logger> logger_ = MakeSilentLogger();
  std::unique_ptr<MetricsListener> metrics_;
  std::unique_ptr<KeyferryServer> server_;
  std::unique_ptr<Reloads> reloads_;
};

TEST_F(ReloadsTest, ANewCertificateIsShownEverywhereAndConnectionsStay) {
  const auto channel = Channel(first_ca_);
  ASSERT_EQ(Call(channel), grpc::OK);
  ASSERT_TRUE(AllShow(first_ca_));
  WriteIdentity(second_ca_.Issue());
  reloads_->Reload();
  EXPECT_TRUE(AllShow(second_ca_));
  EXPECT_TRUE(NoneShows(first_ca_));
  // It could not connect anew: it does not trust the second authority.
  EXPECT_EQ(Call(channel), grpc::OK);
  for (const char* what : {"grpc_certificate", "http_certificate", "metrics_certificate", "metrics_token", "config"}) {
    EXPECT_TRUE(Shows(absl::StrCat("keyferry_reloads_total{what=\"", what, "\",result=\"ok\"} 1"))) << what;
  }
}

TEST_F(ReloadsTest, ABrokenCertificateKeepsTheOldAndSaysSo) {
  const TestIdentity second = second_ca_.Issue();
  struct Case {
    const char* name;
    TestIdentity identity;
  };
  int failed = 0;
  for (const Case& c : {Case{"empty", {"", ""}}, Case{"torn", {second.certificate.substr(0, 200), second.key}},
                        Case{"the key of another", {second.certificate, second_ca_.Issue().key}},
                        Case{"no key", {second.certificate, ""}}}) {
    SCOPED_TRACE(c.name);
    WriteIdentity(c.identity);
    reloads_->Reload();
    ++failed;
    EXPECT_TRUE(AllShow(first_ca_));
    for (const char* what : {"grpc_certificate", "http_certificate", "metrics_certificate"}) {
      EXPECT_TRUE(Shows(absl::StrCat("keyferry_reload_failed{what=\"", what, "\"} 1"))) << what;
      EXPECT_TRUE(Shows(absl::StrCat("keyferry_reloads_total{what=\"", what, "\",result=\"failed\"} ", failed)));
    }
  }
  WriteIdentity(second);
  reloads_->Reload();
  EXPECT_TRUE(AllShow(second_ca_));
  EXPECT_TRUE(Shows("keyferry_reload_failed{what=\"grpc_certificate\"} 0"));
}

TEST_F(ReloadsTest, AChangedCertificateIsNoticedByItself) {
  Watch(absl::Milliseconds(20));
  WriteIdentity(second_ca_.Issue());
  while (!AllShow(second_ca_)) {
  }
  EXPECT_TRUE(NoneShows(first_ca_));
}

TEST_F(ReloadsTest, TheEndOfEachCertificateIsShown) {
  TestCa::Form form;
  form.valid_for = absl::Hours(24 * 40);
  WriteIdentity(first_ca_.Issue(form));
  reloads_->Reload();
  const std::string metrics = Metrics();
  for (const char* listener : {"grpc", "http", "metrics"}) {
    const std::string sample =
        absl::StrCat("keyferry_certificate_expiry_timestamp_seconds{listener=\"", listener, "\"} ");
    const size_t at = metrics.find(sample);
    ASSERT_NE(at, std::string::npos) << listener;
    double seconds = 0;
    ASSERT_TRUE(
        absl::SimpleAtod(metrics.substr(at + sample.size(), metrics.find('\n', at) - at - sample.size()), &seconds));
    const absl::Duration left = absl::FromUnixSeconds(static_cast<int64_t>(seconds)) - absl::Now();
    EXPECT_GT(left, absl::Hours(24 * 39)) << listener;
    EXPECT_LT(left, absl::Hours(24 * 41)) << listener;
  }
}

TEST_F(ReloadsTest, OtherFilesOfTheConfigurationAreTaken) {
  const TestIdentity second = second_ca_.Issue();
  Write("other.pem", second.certificate);
  Write("other.key", second.key);
  config_.mutable_tls()->set_cert_file(Path("other.pem"));
  config_.mutable_tls()->set_key_file(Path("other.key"));
  reloads_->Reload();
  EXPECT_EQ(Call(Channel(second_ca_)), grpc::OK);
  EXPECT_FALSE(ShownAt(metrics_->address(), first_ca_).empty());
}

TEST_F(ReloadsTest, AConfigurationThatCannotBeUsedChangesNothing) {
  load_error_ = absl::InvalidArgumentError("unknown key");
  reloads_->Reload();
  EXPECT_TRUE(AllShow(first_ca_));
  EXPECT_TRUE(Shows("keyferry_reload_failed{what=\"config\"} 1"));
  load_error_ = absl::OkStatus();
  config_.mutable_log()->set_level("loud");
  reloads_->Reload();
  EXPECT_TRUE(Shows("keyferry_reloads_total{what=\"config\",result=\"failed\"} 2"));
  config_.mutable_log()->set_level("debug");
  reloads_->Reload();
  EXPECT_TRUE(Shows("keyferry_reload_failed{what=\"config\"} 0"));
}

TEST_F(ReloadsTest, WhatWouldNotBeEnforcedIsRefusedAndNothingElseChanges) {
  ASSERT_TRUE(storage::CreateKekFile(Path("kek2")).ok());
  Write("ca.pem", first_ca_.certificate());
  const config::Config running = config_;
  int failed = 0;
  const auto expect_refused = [&](const std::function<void(config::Config*)>& change) {
    config_ = running;
    change(&config_);
    config_.mutable_key_provider()->set_file(Path("kek2"));
    reloads_->Reload();
    EXPECT_TRUE(Shows(absl::StrCat("keyferry_reloads_total{what=\"config\",result=\"failed\"} ", ++failed)));
    EXPECT_TRUE(server_->store()->CheckKek(**storage::LoadFileKeyProvider(Path("kek"))).ok());
    EXPECT_EQ(reloads_->config().key_provider().file(), Path("kek"));
    EXPECT_TRUE(AllShow(first_ca_));
  };
  expect_refused([&](config::Config* next) { next->mutable_tls()->set_client_ca_file(Path("ca.pem")); });
  expect_refused([](config::Config* next) { next->mutable_metrics()->clear_token_file(); });
  config_ = running;
  reloads_->Reload();
  EXPECT_TRUE(Shows("keyferry_reload_failed{what=\"config\"} 0"));
}

TEST_F(ReloadsTest, IssuersAreTakenAnewOrNothingIs) {
  const TestJwtKey key(JwtAlgorithm::kEs256, "k1");
  const int64_t now = absl::ToUnixSeconds(absl::Now());
  bearer_ = absl::StrCat(
      "Bearer ", key.Sign(absl::StrCat(R"({"iss":"https://login.example.com","sub":"root","aud":"cli","iat":)", now,
                                       R"(,"exp":)", now + 3600, "}")));
  EXPECT_EQ(Call(Channel(first_ca_)), grpc::UNAUTHENTICATED);
  ASSERT_TRUE(storage::CreateKekFile(Path("kek2")).ok());
  const config::KeyProvider kek = config_.key_provider();
  config_.mutable_key_provider()->set_file(Path("kek2"));
  config::Issuer& issuer = *config_.mutable_identity()->add_issuers();
  issuer.set_name("corp");
  issuer.set_kind("oidc");
  issuer.set_issuer("https://login.example.com");
  issuer.set_jwks_file(Path("jwks.json"));
  issuer.add_audience("cli");
  issuer.add_orgs("acme");
  ASSERT_TRUE(CompleteIdentity(config_.mutable_identity()).ok());
  // The file of its keys is not there.
  reloads_->Reload();
  EXPECT_TRUE(Shows("keyferry_reload_failed{what=\"config\"} 1"));
  EXPECT_EQ(reloads_->config().key_provider().file(), kek.file());
  EXPECT_TRUE(server_->store()->CheckKek(**storage::LoadFileKeyProvider(Path("kek"))).ok());
  EXPECT_EQ(Call(Channel(first_ca_)), grpc::UNAUTHENTICATED);
  Write("jwks.json", TestJwks(key.Jwk()));
  *config_.mutable_key_provider() = kek;
  reloads_->Reload();
  EXPECT_TRUE(Shows("keyferry_reload_failed{what=\"config\"} 0"));
  EXPECT_EQ(Call(Channel(first_ca_)), grpc::OK);
  config_.mutable_identity()->clear_issuers();
  reloads_->Reload();
  EXPECT_EQ(Call(Channel(first_ca_)), grpc::UNAUTHENTICATED);
}

TEST_F(ReloadsTest, AKekThatWouldNotOpenTheStoreIsToldAndAnotherIsTakenOnline) {
  reloads_->Reload();
  EXPECT_TRUE(Shows("keyferry_kek_usable 1"));
  ASSERT_TRUE(storage::CreateKekFile(Path("kek2")).ok());
  std::ifstream next(Path("kek2"));
  const std::string text((std::istreambuf_iterator<char>(next)), std::istreambuf_iterator<char>());
  Write("kek", text);
  reloads_->Reload();
  EXPECT_TRUE(Shows("keyferry_kek_usable 0"));
  EXPECT_TRUE(Shows("keyferry_reload_failed{what=\"kek\"} 1"));
  EXPECT_EQ(Call(Channel(first_ca_)), grpc::OK) << "what runs needs no KEK";
  config_.mutable_key_provider()->set_file(Path("kek2"));
  reloads_->Reload();
  // Although the old header is still being purged: it opens the store no more.
  EXPECT_TRUE(Shows("keyferry_reload_failed{what=\"config\"} 0"));
  EXPECT_EQ(reloads_->config().key_provider().file(), Path("kek2"));
  EXPECT_TRUE(Shows("keyferry_kek_usable 1"));
  EXPECT_TRUE(server_->store()->CheckKek(**storage::LoadFileKeyProvider(Path("kek2"))).ok());
}

}  // namespace
}  // namespace keyferry::server
