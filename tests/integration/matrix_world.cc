#include "tests/integration/matrix_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "keyferry/v1/connections.pb.h"
#include "keyferry/v1/resolution.pb.h"
#include "keyferry/v1/sessions.pb.h"
#include "keyferry/v1/tokens.pb.h"
#include "server/config/identity_config.h"
#include "storage/testing_store.h"
#include "tests/integration/counting_store.h"
#include "tests/integration/world_connections.h"

namespace keyferry::testing {
namespace {

// Enough for every allowed deletion: five phases, four callers.
constexpr int kDoomed = 20;
constexpr char kTeams[][8] = {"eng", "ops", "default"};

std::string Credential(const PlaceName& place, const std::string& id) {
  return absl::StrCat("parent: '", place.Name(), "' credential_id: '", id, "' value: '", World::kMarker, "-", id, "'");
}

std::string Server(const std::string& name, const std::string& source) {
  return absl::StrCat("mcp_server { name: '", name, "' transport: MCP_TRANSPORT_STDIO command: 'run' ",
                      "env { variable: 'KEY' ", source, ": 'KEY' } }");
}

constexpr char kIssuer[] = "https://login.example.com";
constexpr int kTtlSeconds = 300000;

config::Identity PeopleOf(const server::TestJwtKey& key) {
  const std::string file = storage::MakeTestDirectory() + "/jwks.json";
  std::ofstream(file) << server::TestJwks(key.Jwk());
  config::Identity identity;
  config::Issuer& issuer = *identity.add_issuers();
  issuer.set_name("corp");
  issuer.set_kind("oidc");
  issuer.set_issuer(kIssuer);
  issuer.set_jwks_file(file);
  issuer.add_audience("keyferry-cli");
  issuer.add_orgs("acme");
  issuer.mutable_people()->set_max_age_seconds(kTtlSeconds);
  if (chmod(file.c_str(), 0600) != 0 || !server::CompleteIdentity(&identity).ok()) abort();
  return identity;
}

std::string Member(const std::string& team, const std::string& user, const std::string& role) {
  return absl::StrCat("member { name: 'orgs/acme/teams/", team, "/members/", user, "' role: TEAM_ROLE_", role, " }");
}

// Positions of letters in a row's `expected`, by relation.
struct Columns {
  int self = -1;
  int admin = -1;
  int owner = -1;
  int team_admin = -1;
  int team_member = -1;
  int member = -1;
  int service_admin = -1;
  int service_member = -1;
  int granted = -1;
  int workload = -1;
  int other_org = -1;
  int count = 0;
};

Columns ColumnsOf(Place place) {
  Columns columns;
  int next = 0;
  if (place == Place::kUser) columns.self = next++;
  columns.admin = next++;
  if (place == Place::kTeam) {
    columns.owner = next++;
    columns.team_admin = next++;
    columns.team_member = next++;
  }
  columns.member = next++;
  columns.service_admin = next++;
  columns.service_member = next++;
  columns.granted = next++;
  columns.workload = next++;
  columns.other_org = next++;
  columns.count = next;
  return columns;
}

std::vector<int> RelationsOf(const PlaceName& place, const Identity& identity) {
  const Columns columns = ColumnsOf(place.kind);
  if (identity.org != place.org) return {columns.other_org};
  if (identity.kind == Identity::kWorkload) return {identity.granted ? columns.granted : columns.workload};
  if (identity.kind == Identity::kService) return {identity.admin ? columns.service_admin : columns.service_member};
  std::vector<int> relations = {identity.admin ? columns.admin : columns.member};
  if (place.kind == Place::kUser && identity.id == place.id) relations.push_back(columns.self);
  const auto team = identity.teams.find(place.id);
  if (place.kind == Place::kTeam && team != identity.teams.end()) {
    relations.push_back(team->second == 'O'   ? columns.owner
                        : team->second == 'A' ? columns.team_admin
                                              : columns.team_member);
  }
  return relations;
}

}  // namespace

std::string Identity::Name() const {
  static constexpr const char* kCollections[] = {"users", "services", "workloads"};
  return absl::StrCat("orgs/", org, "/", kCollections[kind], "/", id);
}

std::string PlaceName::Name() const {
  if (kind == Place::kOrg) return absl::StrCat("orgs/", org);
  return absl::StrCat("orgs/", org, kind == Place::kTeam ? "/teams/" : "/users/", id);
}

std::string PlaceName::AbsentName() const {
  if (kind == Place::kOrg) return "orgs/void";
  return PlaceName{kind, org, "void"}.Name();
}

char ExpectedLetter(const MatrixRow& row, const PlaceName& place, const Identity& identity) {
  const std::string letters = absl::StrReplaceAll(row.expected, {{" ", ""}});
  if (static_cast<int>(letters.size()) != ColumnsOf(row.place).count) {
    fprintf(stderr, "%s: \"%s\" has the wrong number of letters\n", row.method.c_str(), row.expected.c_str());
    abort();
  }
  static constexpr absl::string_view kLeastFirst = "NDI+";
  size_t most = 0;
  for (const int relation : RelationsOf(place, identity)) most = std::max(most, kLeastFirst.find(letters[relation]));
  return kLeastFirst[most];
}

MatrixWorld::MatrixWorld()
    : world_([this](std::unique_ptr<storage::Store> store) { return MakeCountingStore(std::move(store), &reads_); },
             PeopleOf(key_)) {
  places_ = {{Place::kOrg, "acme", ""},     {Place::kOrg, "rival", ""},        {Place::kTeam, "acme", "eng"},
             {Place::kTeam, "acme", "ops"}, {Place::kTeam, "acme", "default"}, {Place::kUser, "acme", "mia"},
             {Place::kUser, "acme", "eli"}, {Place::kUser, "acme", "root"}};
  AddPeople();
  AddIdentities();
  for (const PlaceName& place : places_) FillPlace(place);
  // So far an OWNER, to fill the place.
  world_.MustCall(Who::kAdmin, "DirectoryService.SetTeamMember", Member("ops", "ben", "MEMBER"));
  world_.TakeDigest();
}

void MatrixWorld::AddPeople() {
  const auto admin = [this](const std::string& method, const std::string& request) {
    world_.MustCall(Who::kAdmin, "DirectoryService." + method, request);
  };
  const auto user = [](const std::string& id) {
    return absl::StrCat("parent: 'orgs/acme' user_id: '", id, "' user { role: ORG_ROLE_MEMBER }");
  };
  admin("CreateTeam", "parent: 'orgs/acme' team_id: 'default'");
  admin("CreateUser", user("extra"));
  for (const auto& [id, role] : {std::pair("root", "MEMBER"), std::pair("mia", "MEMBER"), std::pair("ola", "OWNER"),
                                 std::pair("tim", "ADMIN"), std::pair("eli", "MEMBER"), std::pair("ben", "MEMBER")}) {
    admin("SetTeamMember", Member("default", id, role));
  }
  admin("SetTeamMember", Member("ops", "ben", "OWNER"));
  for (int i = 0; i < kDoomed; ++i) {
    admin("CreateUser", user(absl::StrCat("doomed-", i)));
    admin("CreateUser", user(absl::StrCat("leaver-", i)));
    admin("CreateTeam", absl::StrCat("parent: 'orgs/acme' team_id: 'doomed-", i, "'"));
    for (const char* team : kTeams) admin("SetTeamMember", Member(team, absl::StrCat("leaver-", i), "MEMBER"));
  }
  admin("CreateService", "parent: 'orgs/acme' service_id: 'chief' service { role: ORG_ROLE_ADMIN }");
  admin("CreateWorkload", "parent: 'orgs/acme' workload_id: 'idle'");
  admin("CreateWorkload",
        "parent: 'orgs/acme' workload_id: 'holder' workload { mcp_servers: 'orgs/acme/mcpServers/tool' "
        "mcp_servers: 'orgs/acme/teams/eng/mcpServers/tool' mcp_servers: 'orgs/acme/teams/ops/mcpServers/tool' "
        "mcp_servers: 'orgs/acme/teams/default/mcpServers/tool' }");
  for (const auto& [who, org] : {std::pair(Who::kAdmin, "orgs/acme"), std::pair(Who::kRival, "orgs/rival")}) {
    const std::string parent = absl::StrCat("parent: '", org, "' ");
    for (int i = 0; i < kDoomed; ++i) {
      for (const char* use : {"doomed-", "ended-"}) {
        world_.MustCall(who, "OauthProviderService.CreateOauthProvider",
                        NewProvider(who == Who::kAdmin ? "acme" : "rival", absl::StrCat(use, i)));
      }
      world_.MustCall(who, "DirectoryService.CreateService",
                      absl::StrCat(parent, "service_id: 'doomed-", i, "' service { role: ORG_ROLE_MEMBER }"));
      world_.MustCall(who, "DirectoryService.CreateWorkload", absl::StrCat(parent, "workload_id: 'doomed-", i, "'"));
      if (who == Who::kAdmin) continue;
      world_.MustCall(who, "DirectoryService.CreateUser",
                      absl::StrCat(parent, "user_id: 'doomed-", i, "' user { role: ORG_ROLE_MEMBER }"));
      world_.MustCall(who, "DirectoryService.CreateTeam", absl::StrCat(parent, "team_id: 'doomed-", i, "'"));
    }
  }
  world_.MustCall(Who::kRival, "DirectoryService.CreateService",
                  "parent: 'orgs/rival' service_id: 'portal' service { role: ORG_ROLE_MEMBER }");
  world_.MustCall(Who::kRival, "DirectoryService.CreateWorkload", "parent: 'orgs/rival' workload_id: 'holder'");
}

void MatrixWorld::AddIdentities() {
  const auto token = [this](Who admin, const std::string& name) {
    v1::CreateTokenResponse created;
    created.ParseFromString(world_.MustCall(admin, "TokenService.CreateToken",
                                            absl::StrCat("parent: '", name, "' ttl { seconds: ", kTtlSeconds, " }")));
    return absl::StrCat("Bearer ", created.token());
  };
  identities_ = {
      {"acme", Identity::kUser, "root", true, false, {{"default", 'M'}}},
      {"acme", Identity::kUser, "mia", false, false, {{"default", 'M'}}},
      {"acme", Identity::kUser, "ola", false, false, {{"eng", 'O'}, {"default", 'O'}}},
      {"acme", Identity::kUser, "tim", false, false, {{"eng", 'A'}, {"default", 'A'}}},
      {"acme", Identity::kUser, "eli", false, false, {{"eng", 'M'}, {"default", 'M'}}},
      {"acme", Identity::kUser, "ben", false, false, {{"ops", 'M'}, {"default", 'M'}}},
      {"acme", Identity::kService, "chief", true},
      {"acme", Identity::kService, "portal", false},
      {"acme", Identity::kWorkload, "holder", false, true},
      {"acme", Identity::kWorkload, "idle", false, false},
      {"rival", Identity::kUser, "eve", true},
      {"rival", Identity::kUser, "rob", false},
  };
  for (Identity& identity : identities_) {
    identity.bearer = token(identity.org == "acme" ? Who::kAdmin : Who::kRival, identity.Name());
    if (identity.id != "eli") continue;
    const int64_t now = absl::ToUnixSeconds(world_.now());
    identity.bearer = absl::StrCat(
        "Bearer ", key_.Sign(absl::StrCat(R"({"iss":")", kIssuer, R"(","sub":"eli","aud":"keyferry-cli","iat":)", now,
                                          R"(,"exp":)", now + kTtlSeconds, "}")));
    // The first call binds the user.
    Must(identity, "TokenService.GetCaller", "");
  }
}

void MatrixWorld::FillPlace(const PlaceName& place) {
  const std::string name = place.Name();
  const Identity& admin = Find(place.org, place.org == "acme" ? "root" : "eve");
  const Identity& writer = place.kind == Place::kUser  ? Find(place.org, place.id)
                           : place.kind == Place::kOrg ? admin
                           : place.id == "ops"         ? Find("acme", "ben")
                                                       : Find("acme", "ola");
  Must(writer, "CredentialService.CreateCredential", Credential(place, "KEY"));
  Must(writer, "CredentialService.RotateCredential",
       absl::StrCat("name: '", name, "/credentials/KEY' value: '", World::kMarker, "-second'"));
  for (int i = 0; i < kDoomed; ++i) {
    Must(writer, "CredentialService.CreateCredential", Credential(place, absl::StrCat("DOOMED_", i)));
  }
  const std::string parent =
      place.kind == Place::kOrg ? "" : absl::StrCat(place.kind == Place::kTeam ? "teams/" : "users/", place.id);
  PutConnection(world_.store(), world_.now(), place.org, parent, "idp");
  for (int i = 0; i < kDoomed; ++i) {
    PutConnection(world_.store(), world_.now(), place.org, parent, absl::StrCat("ended-", i));
  }
  if (place.kind == Place::kUser) return;
  const std::string source = place.kind == Place::kOrg ? "org_secret" : "team_secret";
  Must(admin, "McpServerService.ApplyMcpServer", Server(name + "/mcpServers/tool", source));
  for (int i = 0; i < kDoomed; ++i) {
    Must(admin, "McpServerService.ApplyMcpServer", Server(absl::StrCat(name, "/mcpServers/doomed-", i), source));
  }
}

const Identity& MatrixWorld::Find(const std::string& org, const std::string& id) const {
  return *std::find_if(identities_.begin(), identities_.end(),
                       [&](const Identity& one) { return one.org == org && one.id == id; });
}

void MatrixWorld::Must(const Identity& identity, const std::string& method, const std::string& request) {
  const grpc::Status status = Call(identity, method, request);
  if (status.ok()) return;
  fprintf(stderr, "%s %s: %s\n", method.c_str(), request.c_str(), status.error_message().c_str());
  abort();
}

grpc::Status MatrixWorld::Call(const Identity& identity, const std::string& method, const std::string& request,
                               std::string* response) {
  return world_.CallBytes({identity.bearer}, method, MakeRequest(method, request)->SerializeAsString(), response);
}

int64_t MatrixWorld::ReadsOf(const Identity& identity, const std::string& method, const std::string& request) {
  int64_t least = INT64_MAX;
  for (int i = 0; i < 3; ++i) {
    const int64_t before = reads_;
    (void)Call(identity, method, request);
    least = std::min(least, reads_ - before);
  }
  return least;
}

void MatrixWorld::SetTier(v1::Tier tier) {
  Must(Find("acme", "root"), "DirectoryService.UpdateOrg",
       absl::StrCat("org { name: 'orgs/acme' tier: ", v1::Tier_Name(tier), " }"));
  tier_ = tier;
}

bool MatrixWorld::IsSuspended(const PlaceName& place, const std::string& team) const {
  if (team.empty() || place.org != "acme") return false;
  return tier_ == v1::TIER_FREE || (tier_ == v1::TIER_TEAM && team != "default");
}

std::string MatrixWorld::LiveToken(const PlaceName& user) {
  v1::CreateTokenResponse created;
  created.ParseFromString(
      world_.MustCall(Who::kAdmin, "TokenService.CreateToken", absl::StrCat("parent: '", user.Name(), "'")));
  const std::string& name = created.metadata().name();
  return name.substr(name.rfind('/') + 1);
}

std::string MatrixWorld::LiveSession(const PlaceName& org) {
  const Identity& admin = Find(org.org, org.org == "acme" ? "root" : "eve");
  const std::string request = absl::StrCat("parent: '", org.Name(), "' session { user: '", admin.Name(),
                                           "' mcp_servers: '", org.Name(), "/mcpServers/tool' }");
  std::string response;
  const grpc::Status status = Call(admin, "SessionService.CreateSession", request, &response);
  v1::CreateSessionResponse created;
  if (!status.ok() || !created.ParseFromString(response)) {
    fprintf(stderr, "session: %s\n", status.error_message().c_str());
    abort();
  }
  const std::string& name = created.session().name();
  return name.substr(name.rfind('/') + 1);
}

std::string MatrixWorld::LiveAttempt(const PlaceName& org) {
  const Identity& admin = Find(org.org, org.org == "acme" ? "root" : "eve");
  std::string response;
  const grpc::Status status = Call(admin, "ConnectionService.StartConnection",
                                   absl::StrCat("parent: '", org.Name(), "' oauth_provider_id: 'idp'"), &response);
  v1::StartConnectionResponse started;
  if (!status.ok() || !started.ParseFromString(response)) {
    fprintf(stderr, "no attempt: %s\n", status.error_message().c_str());
    abort();
  }
  const std::string& name = started.attempt().name();
  return name.substr(name.rfind('/') + 1);
}

std::string MatrixWorld::LiveProcess(const PlaceName& org, const std::string& id, int64_t* revision) {
  if (org.org != "acme") return "nobodys";
  std::string response;
  const std::string request = absl::StrCat(
      "confirms: true resolve { mcp_server: 'orgs/acme/mcpServers/tool' process { process_id: '", id, "' } }");
  const grpc::Status status = Call(Find("acme", "holder"), "ResolutionService.Watch", request, &response);
  v1::WatchResponse sent;
  if (!status.ok() || !sent.ParseFromString(response)) {
    fprintf(stderr, "no watch: %s\n", status.error_message().c_str());
    abort();
  }
  *revision = sent.environment().revision();
  const std::string& process = sent.environment().process();
  return process.substr(process.rfind('/') + 1);
}

void MatrixWorld::AwaitRewrap() {
  const absl::Status waited = world_.server()->store()->WaitForPurge(absl::Seconds(60));
  if (waited.ok()) return;
  fprintf(stderr, "rewrap: %s\n", waited.ToString().c_str());
  abort();
}

}  // namespace keyferry::testing
