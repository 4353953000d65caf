// Resolve of 10 variables in this process on a warm RocksDB store, beside the engine's own gets of as many keys; and
// the same of 10 OAuth bindings with fresh tokens.
#include <cstdlib>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "server/credentials/testing_world.h"
#include "server/mcpservers/mcp_server_rules.h"
#include "server/resolution/resolver.h"
#include "server/resolution/testing_connections.h"

namespace keyferry::server {
namespace {

constexpr int kVariables = 10;

// One world for all runs, with the server's background recorder.
struct Bench {
  Bench() {
    const Clock clock = [] { return absl::Now(); };
    world.usage.reset();
    world.audit.reset();
    world.audit = std::make_unique<AuditLog>(world.store.get(), AuditLog::Options());
    world.usage = *UsageRecorder::Start(world.store.get(), world.audit.get(), clock, nullptr, {});
    resolver = std::make_unique<Resolver>(world.store.get(), clock, world.usage.get());
    // The world's own rules hold its first recorder.
    world.credentials = std::make_unique<CredentialRules>(world.store.get(), clock, &world.pages, world.usage.get());
    v1::ApplyMcpServerRequest request;
    request.mutable_mcp_server()->set_name("orgs/acme/mcpServers/m");
    request.mutable_mcp_server()->set_transport(v1::MCP_TRANSPORT_HTTP);
    v1::ApplyMcpServerRequest oauth = request;
    oauth.mutable_mcp_server()->set_name("orgs/acme/mcpServers/oauth");
    for (int i = 0; i < kVariables; ++i) {
      const std::string id = absl::StrCat("VARIABLE_", i);
      if (i % 3 == 0) world.Create(world.As("ada"), "orgs/acme/users/ada", id, std::string(40, 'v'));
      if (i % 3 == 1) world.Create(world.As("ada"), "orgs/acme/teams/eng", id, std::string(40, 'v'));
      if (i % 3 == 2) world.Create(world.As("root"), "orgs/acme", id, std::string(40, 'v'));
      v1::EnvBinding* binding = request.mutable_mcp_server()->add_env();
      binding->set_variable(id);
      binding->set_org_secret(id);
      TestConnection connection;
      connection.parent = i % 3 == 0 ? "users/ada" : i % 3 == 1 ? "teams/eng" : "";
      connection.provider = absl::StrCat("provider", i);
      connection.token = std::string(40, 'v');
      connection.expire_time = absl::Now() + absl::Hours(1);
      PutConnection(world.store.get(), connection);
      binding = oauth.mutable_mcp_server()->add_env();
      binding->set_variable(id);
      binding->set_oauth(connection.provider);
    }
    McpServerRules rules(world.store.get(), world.clock(), &world.pages);
    if (!rules.ApplyMcpServer(world.As("root"), request).ok()) std::abort();
    if (!rules.ApplyMcpServer(world.As("root"), oauth).ok()) std::abort();
  }
  World world{storage::EngineKind::kRocksDb};
  std::unique_ptr<Resolver> resolver;
};

Bench& TheBench() {
  static Bench* const bench = new Bench();
  return *bench;
}

// As a call runs it: its audit entry is made and left to be stored with others'.
void Resolve(benchmark::State& state, const char* mcp_server) {
  Bench& bench = TheBench();
  Caller ada = bench.world.As("ada");
  v1::ResolveRequest request;
  request.set_mcp_server(mcp_server);
  request.set_team("orgs/acme/teams/eng");
  for (auto _ : state) {
    CallRecord record;
    ada.record = &record;
    const auto resolved = bench.resolver->Resolve(ada, request);
    if (!resolved.ok()) std::abort();
    benchmark::DoNotOptimize(resolved->variables_size());
  }
}
void BM_Resolve(benchmark::State& state) { Resolve(state, "orgs/acme/mcpServers/m"); }
BENCHMARK(BM_Resolve)->UseRealTime()->Threads(1)->Threads(2);
void BM_ResolveOauth(benchmark::State& state) { Resolve(state, "orgs/acme/mcpServers/oauth"); }
BENCHMARK(BM_ResolveOauth)->UseRealTime()->Threads(1)->Threads(2);

// The reads alone: what the store takes to open 10 values, with the misses before them.
void BM_StoreGets(benchmark::State& state) {
  Bench& bench = TheBench();
  for (auto _ : state) {
    const auto view = bench.world.store->View();
    for (int i = 0; i < kVariables; ++i) {
      const std::string id = absl::StrCat("VARIABLE_", i);
      int scope = 0;
      for (const char* parent : {"users/ada", "teams/eng", ""}) {
        auto found = view->Get({storage::Table::kCredentialValue, "acme", parent, id});
        benchmark::DoNotOptimize(found.ok());
        if (scope++ == i % 3) break;
      }
    }
  }
}
BENCHMARK(BM_StoreGets)->UseRealTime();

// The audit entry alone, stored by itself.
void BM_RecordUse(benchmark::State& state) {
  Bench& bench = TheBench();
  ResolutionEvent event = {"acme", "orgs/acme/mcpServers/m", "orgs/acme/users/ada", "orgs/acme/users/ada", "eng", {}};
  for (int i = 0; i < kVariables; ++i) event.credentials.push_back({"", absl::StrCat("VARIABLE_", i), 1});
  for (auto _ : state) {
    if (!bench.world.usage->RecordNow(event, "ResolutionService/Resolve").ok()) std::abort();
  }
}
BENCHMARK(BM_RecordUse)->UseRealTime();

}  // namespace
}  // namespace keyferry::server

BENCHMARK_MAIN();
