#include "server/credentials/testing_world.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/errors.h"
#include "server/records.h"
#include "storage/open.h"
#include "storage/records/records.pb.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Table;

struct Member {
  const char* user;
  const char* team;
  v1::TeamRole role;
};
constexpr Member kMembers[] = {{"ada", "eng", v1::TEAM_ROLE_OWNER},
                               {"ada", "default", v1::TEAM_ROLE_OWNER},
                               {"bob", "eng", v1::TEAM_ROLE_MEMBER},
                               {"eve", "ops", v1::TEAM_ROLE_MEMBER}};

template <typename T>
void Put(storage::Mutation* mutation, storage::RecordKey key, const T& record) {
  mutation->Put(std::move(key), storage::SerializeSecret(record), 1, std::nullopt);
}

}  // namespace

World::World(storage::EngineKind engine) : engine_(engine) {
  Open();
  Fill();
}

void World::Open() {
  auto opened = storage::OpenStoreOn(engine_.Borrow(), /*create=*/true, kek_);
  ASSERT_TRUE(opened.ok()) << opened.status();
  store = *std::move(opened);
  UsageRecorder::Options options;
  options.background = false;
  RestartUsage(options);
}

void World::RestartUsage(const UsageRecorder::Options& options) {
  credentials.reset();
  usage.reset();
  AuditLog::Options audit_options;
  audit_options.background = false;
  audit.reset();
  audit = std::make_unique<AuditLog>(store.get(), audit_options);
  auto recorder = UsageRecorder::Start(store.get(), audit.get(), clock(), /*logger=*/nullptr, options);
  ASSERT_TRUE(recorder.ok()) << recorder.status();
  usage = *std::move(recorder);
  credentials = std::make_unique<CredentialRules>(store.get(), clock(), &pages, usage.get());
}

World::~World() { Close(); }

void World::Close() {
  credentials.reset();
  usage.reset();
  audit.reset();
  store.reset();
}

void World::Restart() {
  Close();
  engine_.Reopen();
  Open();
}

void World::Fill() {
  storage::Mutation mutation;
  for (const char* id : {"acme", "other"}) {
    ASSERT_TRUE(store->CreateKeyring(id).ok());
    records::OrgRecord org;
    org.set_id(id);
    Put(&mutation, {Table::kOrg, "", "", id}, org);
  }
  for (const char* id : {"root", "ada", "bob", "eve", "zoe"}) {
    records::UserRecord user;
    user.set_id(id);
    Put(&mutation, {Table::kUser, "acme", "", id}, user);
  }
  for (const char* id : {"eng", "ops", "default"}) {
    records::TeamRecord team;
    team.set_id(id);
    Put(&mutation, {Table::kTeam, "acme", "", id}, team);
  }
  for (const Member& member : kMembers) {
    records::MembershipRecord membership;
    membership.set_user(member.user);
    membership.set_team(member.team);
    Put(&mutation, {Table::kMembership, "acme", absl::StrCat("users/", member.user), member.team}, membership);
    records::TeamMemberRecord team_member;
    team_member.set_user(member.user);
    team_member.set_team(member.team);
    Put(&mutation, {Table::kTeamMember, "acme", absl::StrCat("teams/", member.team), member.user}, team_member);
  }
  ASSERT_TRUE(store->Commit(mutation, storage::Durability::kSynced).ok());
}

void World::AllowNames(const std::vector<std::string>& names) {
  records::OrgRecord org;
  org.set_id("acme");
  for (const std::string& name : names) org.add_allowed_variable_names(name);
  storage::Mutation mutation;
  Put(&mutation, {Table::kOrg, "", "", "acme"}, org);
  ASSERT_TRUE(store->Commit(mutation, storage::Durability::kSynced).ok());
}

Caller World::As(absl::string_view user) const {
  Caller caller;
  caller.org = user == "mallory" ? "other" : "acme";
  caller.id = std::string(user);
  caller.tier = tier;
  caller.role = user == "root" || user == "mallory" ? v1::ORG_ROLE_ADMIN : v1::ORG_ROLE_MEMBER;
  for (const Member& member : kMembers) {
    if (member.user == user) caller.teams.emplace_back(member.team, member.role);
  }
  return caller;
}

Caller World::Service(v1::OrgRole role) const {
  Caller caller;
  caller.kind = PrincipalKind::kService;
  caller.org = "acme";
  caller.id = "platform";
  caller.tier = tier;
  caller.role = role;
  return caller;
}

Caller World::Workload(std::vector<std::string> granted) const {
  Caller caller;
  caller.kind = PrincipalKind::kWorkload;
  caller.org = "acme";
  caller.id = "injector";
  caller.tier = tier;
  caller.granted_mcp_servers = std::move(granted);
  return caller;
}

v1::Credential World::Create(const Caller& caller, const std::string& parent, const std::string& id,
                             const std::string& value) {
  v1::CreateCredentialRequest request;
  request.set_parent(parent);
  request.set_credential_id(id);
  request.set_value(value);
  auto created = credentials->CreateCredential(caller, request);
  EXPECT_TRUE(created.ok()) << created.status();
  return created.ok() ? *created : v1::Credential();
}

absl::StatusOr<v1::Credential> World::Get(const Caller& caller, const std::string& name) const {
  v1::GetCredentialRequest request;
  request.set_name(name);
  return credentials->GetCredential(caller, request);
}

std::string World::Value(const std::string& parent, const std::string& id, Table table) {
  auto found = ReadRecord<records::ValueRecord>(*store->View(), {table, "acme", parent, id});
  if (!found.ok()) return found.status().ToString();
  if (!found->has_value()) return "(absent)";
  return absl::StrCat("v", (*found)->record.version(), ":", (*found)->record.value());
}

v1::ErrorDetail DetailOf(const absl::Status& status) {
  v1::ErrorDetail detail;
  GetDetail(status, &detail);
  return detail;
}

std::string Told(const absl::Status& status) {
  return absl::StrCat(status.ToString(absl::StatusToStringMode::kWithNoExtraData), "\n",
                      DetailOf(status).ShortDebugString());
}

}  // namespace keyferry::server
