// The access decision over callers and resources as calls bring them, each beside one lookup of the same resource's
// name in a hash map of 1,000 names. `Authorize` makes the status of the answer as well.
#include <cstdlib>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "server/access/access.h"

namespace keyferry::server {
namespace {

constexpr int kNames = 1000;
constexpr char kTeamPrefix[] = "orgs/acme/teams/data/credentials/VARIABLE_";
constexpr char kOrgPrefix[] = "orgs/acme/credentials/VARIABLE_";
constexpr char kServerPrefix[] = "orgs/acme/mcpServers/server-";

struct Case {
  const char* name;
  Caller caller;
  Action action;
  Resource resource;
  // What the resource's name begins with; a number up to kNames follows.
  const char* prefix;
  Decision expected;
};

// In six teams, the last of which is `data`.
Caller User(v1::OrgRole role, v1::TeamRole in_data) {
  Caller caller;
  caller.org = "acme";
  caller.id = "ada.lovelace";
  caller.tier = v1::TIER_BUSINESS;
  caller.role = role;
  for (const char* team : {"platform", "billing", "support", "mobile", "web"}) {
    caller.teams.emplace_back(team, v1::TEAM_ROLE_MEMBER);
  }
  if (in_data != v1::TEAM_ROLE_UNSPECIFIED) caller.teams.emplace_back("data", in_data);
  return caller;
}

// With ten MCP servers granted, the last of which is asked for.
Caller Workload() {
  Caller caller;
  caller.kind = PrincipalKind::kWorkload;
  caller.org = "acme";
  caller.id = "runner";
  caller.tier = v1::TIER_BUSINESS;
  for (int i = 9; i >= 0; --i) caller.granted_mcp_servers.push_back(absl::StrCat(kServerPrefix, kNames / 2 + i));
  return caller;
}

std::vector<Case> Cases() {
  const std::string number = absl::StrCat(kNames / 2);
  const Resource of_org = {ResourceKind::kOrgCredential, "acme", "", "", kOrgPrefix + number, ""};
  const Resource of_team = {ResourceKind::kTeamCredential, "acme", "data", "", kTeamPrefix + number, ""};
  const Resource server = {ResourceKind::kOrgMcpServer, "acme", "", "", kServerPrefix + number, ""};
  const Caller member = User(v1::ORG_ROLE_MEMBER, v1::TEAM_ROLE_MEMBER);
  const Caller outsider = User(v1::ORG_ROLE_MEMBER, v1::TEAM_ROLE_UNSPECIFIED);
  const Caller team_admin = User(v1::ORG_ROLE_MEMBER, v1::TEAM_ROLE_ADMIN);
  const Caller org_admin = User(v1::ORG_ROLE_ADMIN, v1::TEAM_ROLE_MEMBER);
  return {
      {"read_by_member", member, Action::kSee, of_org, kOrgPrefix, Decision::kAllow},
      {"change_by_member_refused", member, Action::kUpdate, of_org, kOrgPrefix, Decision::kDeny},
      {"team_change_by_team_admin", team_admin, Action::kUpdate, of_team, kTeamPrefix, Decision::kAllow},
      {"team_create_by_outsider_hidden", outsider, Action::kCreate, of_team, kTeamPrefix, Decision::kHide},
      {"delete_by_org_admin", org_admin, Action::kDelete, of_org, kOrgPrefix, Decision::kAllow},
      {"resolve_by_workload", Workload(), Action::kResolve, server, kServerPrefix, Decision::kAllow},
  };
}

void RunDecide(benchmark::State& state, const Case& one) {
  if (Decide(one.caller, one.action, one.resource) != one.expected) std::abort();
  for (auto _ : state) {
    benchmark::DoNotOptimize(Decide(one.caller, one.action, one.resource));
  }
}

void RunAuthorize(benchmark::State& state, const Case& one) {
  AccessTally tally;
  Caller caller = one.caller;
  caller.access = &tally;
  for (auto _ : state) {
    benchmark::DoNotOptimize(Authorize(caller, one.action, one.resource));
  }
}

void RunLookup(benchmark::State& state, const Case& one) {
  absl::flat_hash_map<std::string, int> names;
  for (int i = 0; i < kNames; ++i) names.emplace(absl::StrCat(one.prefix, i), i);
  if (names.find(one.resource.name) == names.end()) std::abort();
  for (auto _ : state) {
    benchmark::DoNotOptimize(names.find(one.resource.name));
  }
}

void Register() {
  static const std::vector<Case>* const cases = new std::vector<Case>(Cases());
  const std::pair<const char*, void (*)(benchmark::State&, const Case&)> subjects[] = {
      {"BM_Decide/", RunDecide}, {"BM_Authorize/", RunAuthorize}, {"BM_Lookup/", RunLookup}};
  for (const Case& one : *cases) {
    for (const auto& [prefix, function] : subjects) {
      benchmark::RegisterBenchmark(absl::StrCat(prefix, one.name).c_str(), function, std::cref(one));
    }
  }
}

}  // namespace
}  // namespace keyferry::server

int main(int argc, char** argv) {
  keyferry::server::Register();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
