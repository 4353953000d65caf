// A store with many organizations of 1,000 credentials each, in this process.
// Flags: --dir DIR --orgs N --phase load|measure. `load` fills a new store and prints its seconds; `measure` reopens it
// and prints `reopen_seconds resolve_p50_us resolve_p99_us resident_mib`: a process of its own, so that what loading
// left in memory is not counted.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/identity/caller.h"
#include "server/log.h"
#include "server/mcpservers/mcp_server_rules.h"
#include "server/pagination.h"
#include "server/resolution/resolver.h"
#include "server/usage/usage_recorder.h"
#include "storage/open.h"
#include "storage/records/records.pb.h"
#include "storage/records/typed.h"
#include "tests/bench/flags.h"

namespace keyferry::bench {
namespace {

using storage::Table;
using Clock = std::chrono::steady_clock;

constexpr int kCredentialsPerOrg = 1000;
constexpr int kVariables = 10;
constexpr int kResolutions = 20000;

void Check(const absl::Status& status) {
  if (status.ok()) return;
  std::cerr << status << "\n";
  std::exit(1);
}

double SecondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::string OrgId(int n) { return absl::StrCat("org", n); }
std::string CredentialId(int n) { return absl::StrCat("CREDENTIAL_NUMBER_", n); }

server::Caller AdminOf(const std::string& org) {
  server::Caller caller;
  caller.org = org;
  caller.id = "admin";
  caller.role = v1::ORG_ROLE_ADMIN;
  caller.tier = v1::TIER_BUSINESS;
  return caller;
}

class ScaleBench {
 public:
  ScaleBench(std::string dir, int orgs) : dir_(std::move(dir)), orgs_(orgs) {}

  void Load() {
    const auto start = Clock::now();
    std::filesystem::create_directory(dir_);
    std::filesystem::permissions(dir_, std::filesystem::perms::owner_all);
    Check(storage::CreateKekFile(dir_ + "/kek"));
    Open(/*create=*/true);
    server::McpServerRules mcp_servers(
        store_.get(), [] { return absl::Now(); }, &pages_);
    for (int n = 0; n < orgs_; ++n) {
      const std::string org = OrgId(n);
      Check(store_->CreateKeyring(org));
      LoadOrg(org);
      v1::ApplyMcpServerRequest request;
      request.mutable_mcp_server()->set_name(absl::StrCat("orgs/", org, "/mcpServers/bench"));
      request.mutable_mcp_server()->set_transport(v1::MCP_TRANSPORT_STDIO);
      request.mutable_mcp_server()->set_command("true");
      for (int i = 0; i < kVariables; ++i) {
        auto* binding = request.mutable_mcp_server()->add_env();
        binding->set_variable(absl::StrCat("VARIABLE_", i));
        binding->set_org_secret(CredentialId((n + i * 97) % kCredentialsPerOrg));
      }
      Check(mcp_servers.ApplyMcpServer(AdminOf(org), request).status());
    }
    store_.reset();
    std::printf("%.2f\n", SecondsSince(start));
  }

  void Measure() {
    const auto start = Clock::now();
    Open(/*create=*/false);
    const double reopen = SecondsSince(start);
    const auto logger = server::MakeSilentLogger();
    server::AuditLog audit(store_.get(), server::AuditLog::Options());
    auto usage = server::UsageRecorder::Start(store_.get(), &audit, [] { return absl::Now(); }, logger.get(), {});
    Check(usage.status());
    server::Resolver resolver(
        store_.get(), [] { return absl::Now(); }, usage->get());
    std::mt19937 random(1);
    std::vector<double> microseconds;
    for (int i = 0; i < kResolutions; ++i) {
      const std::string org = OrgId(static_cast<int>(random() % orgs_));
      v1::ResolveRequest request;
      request.set_mcp_server(absl::StrCat("orgs/", org, "/mcpServers/bench"));
      const auto sent = Clock::now();
      const auto response = resolver.Resolve(AdminOf(org), request);
      microseconds.push_back(SecondsSince(sent) * 1e6);
      Check(response.status());
      if (response->variables_size() != kVariables) std::exit(1);
    }
    std::sort(microseconds.begin(), microseconds.end());
    std::printf("%.3f %.1f %.1f %.1f\n", reopen, microseconds[kResolutions / 2], microseconds[kResolutions * 99 / 100],
                ResidentMib());
    usage->reset();
  }

 private:
  void Open(bool create) {
    auto provider = storage::LoadFileKeyProvider(dir_ + "/kek");
    Check(provider.status());
    storage::OpenOptions options;
    options.data_dir = dir_ + "/store";
    options.create = create;
    auto store = storage::OpenStore(options, **provider);
    Check(store.status());
    store_ = *std::move(store);
  }

  void LoadOrg(const std::string& org) {
    storage::Mutation mutation;
    storage::records::OrgRecord org_record;
    org_record.set_id(org);
    org_record.set_tier(v1::TIER_BUSINESS);
    mutation.Put({Table::kOrg, "", "", org}, storage::SerializeSecret(org_record), 1, 0);
    for (int i = 0; i < kCredentialsPerOrg; ++i) {
      storage::records::CredentialRecord credential;
      credential.set_id(CredentialId(i));
      credential.set_description("what it is for, who asked for it and where it is used");
      credential.set_source(v1::CREDENTIAL_SOURCE_MANUAL);
      credential.set_version(1);
      credential.set_create_time(absl::ToUnixNanos(absl::Now()));
      credential.set_creator(absl::StrCat("orgs/", org, "/users/admin"));
      credential.set_incarnation(storage::RandomString(16));
      storage::records::ValueRecord value;
      value.set_version(1);
      value.set_value(std::string(40, 'v'));
      mutation.Put({Table::kCredential, org, "", credential.id()}, storage::SerializeSecret(credential), 1, 0);
      mutation.Put({Table::kCredentialValue, org, "", credential.id()}, storage::SerializeSecret(value), 1, 0);
    }
    Check(store_->Commit(mutation, storage::Durability::kBuffered).status());
    Check(store_->Sync());
  }

  static double ResidentMib() {
    std::istringstream statm(ReadFile("/proc/self/statm"));
    double pages = 0;
    statm >> pages >> pages;
    return pages * sysconf(_SC_PAGESIZE) / (1 << 20);
  }

  const std::string dir_;
  const int orgs_;
  std::unique_ptr<storage::Store> store_;
  server::PageTokens pages_;
};

}  // namespace
}  // namespace keyferry::bench

int main(int argc, char** argv) {
  auto flags = keyferry::bench::ParseFlags(argc, argv);
  keyferry::bench::ScaleBench bench(flags["dir"], std::stoi(flags["orgs"]));
  if (flags["phase"] == "load") {
    bench.Load();
  } else {
    bench.Measure();
  }
  return 0;
}
