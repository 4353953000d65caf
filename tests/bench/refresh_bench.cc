// Many OAuth connections in one store, and the scheduler that keeps them fresh, against a provider that answers at
// once. Flags: --dir DIR --connections N. Prints
//   `bytes_per_connection rest_cpu_percent catch_up_seconds ideal_seconds most_per_second rate refreshed`
// The connections belong to kProviders providers in even parts. At rest none is due. Then all are, as after an outage
// of an hour with tokens of an hour; `ideal_seconds` is what the providers' rates allow, and `most_per_second` the most
// refreshes that one provider was sent within a second.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "keyferry/v1/connections.pb.h"
#include "server/audit/audit_log.h"
#include "server/log.h"
#include "server/oauth/connection_records.h"
#include "server/oauth/refresh/refresh_scheduler.h"
#include "storage/crypto/key_provider.h"
#include "storage/open.h"
#include "storage/records/records.pb.h"
#include "storage/records/typed.h"
#include "tests/bench/flags.h"

namespace keyferry::bench {
namespace {

namespace records = storage::records;
using storage::Table;
using Steady = std::chrono::steady_clock;

constexpr char kOrg[] = "bench";
constexpr int kProviders = 100;
constexpr double kRate = 50;
constexpr int kPerCommit = 500;
constexpr absl::Duration kRest = absl::Seconds(5);

void Check(const absl::Status& status) {
  if (status.ok()) return;
  std::cerr << status << "\n";
  std::exit(1);
}

double SecondsSince(Steady::time_point start) { return std::chrono::duration<double>(Steady::now() - start).count(); }

size_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  size_t total = 0;
  size_t resident = 0;
  statm >> total >> resident;
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + t.tv_usec / 1e6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

std::string ProviderId(int connection) { return absl::StrCat("provider-", connection % kProviders); }
std::string ParentOf(int connection) { return absl::StrCat("teams/team-", connection / kProviders); }

// A provider that grants at once, and notes when it was asked.
class InstantProvider : public server::TokenClient {
 public:
  void ExchangeCode(std::shared_ptr<const server::ProviderDefinition>, CodeExchange, absl::Duration, Done) override {
    std::exit(1);
  }
  void RequestWithoutPerson(std::shared_ptr<const server::ProviderDefinition>, const server::UrlVariables&,
                            const std::vector<std::string>&, absl::Duration, Done) override {
    std::exit(1);
  }
  void Revoke(std::shared_ptr<const server::ProviderDefinition>, RefreshInput, absl::Duration,
              std::function<void(absl::Status)>) override {
    std::exit(1);
  }

  void Refresh(std::shared_ptr<const server::ProviderDefinition> provider, RefreshInput, absl::Duration,
               Done done) override {
    Note(provider->provider.display_name());
    server::TokenGrant grant;
    grant.access_token = storage::SecretBytes::CopyOf(std::string(200, 'a'));
    grant.refresh_token = storage::SecretBytes::CopyOf(std::string(100, 'r'));
    grant.lifetime = absl::Hours(24);
    done(std::move(grant));
  }

  size_t most_per_second() const {
    absl::MutexLock lock(&mutex_);
    return most_;
  }

 private:
  void Note(const std::string& provider) {
    const Steady::time_point now = Steady::now();
    absl::MutexLock lock(&mutex_);
    std::deque<Steady::time_point>& times = asked_[provider];
    times.push_back(now);
    while (now - times.front() > std::chrono::seconds(1)) times.pop_front();
    most_ = std::max(most_, times.size());
  }

  mutable absl::Mutex mutex_;
  std::map<std::string, std::deque<Steady::time_point>> asked_ ABSL_GUARDED_BY(mutex_);
  size_t most_ ABSL_GUARDED_BY(mutex_) = 0;
};

class RefreshBench {
 public:
  RefreshBench(const std::string& dir, int connections) : connections_(connections) {
    std::filesystem::create_directory(dir);
    std::filesystem::permissions(dir, std::filesystem::perms::owner_all);
    Check(storage::CreateKekFile(dir + "/kek"));
    auto provider = storage::LoadFileKeyProvider(dir + "/kek");
    Check(provider.status());
    storage::OpenOptions options;
    options.data_dir = dir + "/store";
    options.create = true;
    auto store = storage::OpenStore(options, **provider);
    Check(store.status());
    store_ = *std::move(store);
    Check(store_->CreateKeyring(kOrg));
    PutOrgAndProviders();
  }

  void Run() {
    const auto logger = server::MakeSilentLogger();
    server::AuditLog audit(store_.get(), server::AuditLog::Options());
    PutConnections(absl::Now() + absl::Hours(20), /*anew=*/true);
    // What a scan leaves in the store's caches is not the scheduler's.
    Check(store_->View()->ScanAll(Table::kConnection, kOrg, [](storage::Record) { return true; }));
    const size_t before = ResidentBytes();
    auto scheduler = Start(logger.get());
    AwaitStatus(*scheduler, [this](const server::RefreshStatus& s) { return s.connections == connections_; });
    absl::SleepFor(absl::Seconds(1));
    const double bytes = static_cast<double>(ResidentBytes()) - static_cast<double>(before);
    const double cpu = CpuSeconds();
    absl::SleepFor(kRest);
    const double rest = (CpuSeconds() - cpu) / absl::ToDoubleSeconds(kRest) * 100;
    scheduler.reset();

    PutConnections(absl::Now() - absl::Seconds(1), /*anew=*/false);
    const auto start = Steady::now();
    scheduler = Start(logger.get());
    AwaitStatus(*scheduler, [this](const server::RefreshStatus& s) { return s.refreshed >= connections_; });
    const double seconds = SecondsSince(start);
    std::printf("%.1f %.3f %.2f %.2f %zu %.0f %lld\n", bytes / connections_, rest, seconds,
                connections_ / (kProviders * kRate), provider_.most_per_second(), kRate,
                static_cast<long long>(scheduler->status().refreshed));
    scheduler->Drain(absl::Seconds(10));
  }

 private:
  std::unique_ptr<server::RefreshScheduler> Start(server::Logger* logger) {
    server::RefreshScheduler::Clocks clocks;
    clocks.wall = [] { return absl::Now(); };
    auto started = server::RefreshScheduler::Start(store_.get(), &provider_, std::move(clocks), logger, {});
    Check(started.status());
    return *std::move(started);
  }

  template <typename Condition>
  static void AwaitStatus(const server::RefreshScheduler& scheduler, Condition condition) {
    while (!condition(scheduler.status())) absl::SleepFor(absl::Milliseconds(20));
  }

  void PutOrgAndProviders() {
    storage::Mutation mutation;
    records::OrgRecord org;
    org.set_id(kOrg);
    org.set_tier(v1::TIER_BUSINESS);
    mutation.Put({Table::kOrg, "", "", kOrg}, storage::SerializeSecret(org), 1, 0);
    for (int i = 0; i < kProviders; ++i) {
      v1::OauthProvider definition;
      definition.set_display_name(ProviderId(i));
      definition.set_grant_type(v1::OAUTH_GRANT_TYPE_AUTHORIZATION_CODE);
      definition.mutable_endpoints()->set_token_url("https://provider.example/token");
      definition.mutable_refresh()->set_max_per_second(kRate);
      records::OauthProviderRecord record;
      record.set_id(ProviderId(i));
      record.set_definition(definition.SerializeAsString());
      mutation.Put(server::ProviderKey(kOrg, ProviderId(i)), storage::SerializeSecret(record), 1, 0);
    }
    Check(store_->Commit(mutation, storage::Durability::kBuffered).status());
  }

  // All tokens end at `end`.
  void PutConnections(absl::Time end, bool anew) {
    const int64_t nanos = absl::ToUnixNanos(end);
    for (int first = 0; first < connections_; first += kPerCommit) {
      storage::Mutation mutation;
      for (int i = first; i < std::min(first + kPerCommit, connections_); ++i) {
        const server::ConnectionKey key = {kOrg, ParentOf(i), ProviderId(i)};
        records::ConnectionRecord connection;
        connection.set_parent(key.parent);
        connection.set_id(key.provider);
        connection.set_state(v1::CONNECTION_STATE_CONNECTED);
        connection.set_version(1);
        connection.set_account("somebody@example.com");
        connection.set_expire_time(nanos);
        connection.set_next_attempt_time(nanos);
        connection.set_lifetime(absl::ToInt64Nanoseconds(absl::Hours(24)));
        connection.set_incarnation("0123456789abcdef");
        connection.set_refreshable(true);
        records::ConnectionTokenRecord token;
        token.set_parent(key.parent);
        token.set_id(key.provider);
        token.set_version(1);
        token.set_access_token(std::string(200, 'a'));
        token.set_refresh_token(std::string(100, 'r'));
        token.set_expire_time(nanos);
        const auto expected = anew ? std::optional<storage::Revision>(0) : std::nullopt;
        mutation.Put(server::ConnectionRecordKey(Table::kConnection, key), storage::SerializeSecret(connection), 1,
                     expected);
        mutation.Put(server::ConnectionRecordKey(Table::kConnectionToken, key), storage::SerializeSecret(token), 1,
                     expected);
      }
      Check(store_->Commit(mutation, storage::Durability::kBuffered).status());
    }
    Check(store_->Sync());
  }

  const int connections_;
  InstantProvider provider_;
  std::unique_ptr<storage::Store> store_;
};

}  // namespace
}  // namespace keyferry::bench

int main(int argc, char** argv) {
  auto flags = keyferry::bench::ParseFlags(argc, argv);
  keyferry::bench::RefreshBench(flags["dir"], std::atoi(flags["connections"].c_str())).Run();
  return 0;
}
