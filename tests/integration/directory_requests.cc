// The methods about people and teams, and about organizations.
#include "absl/strings/str_cat.h"
#include "tests/integration/bad_requests.h"

namespace keyferry::testing {
namespace {

constexpr char kMia[] = "orgs/acme/users/mia";
constexpr char kEng[] = "orgs/acme/teams/eng";
constexpr char kEli[] = "orgs/acme/teams/eng/members/eli";

// What no list and no create below an organization takes as its parent.
BadRequests BadOrgParents() {
  return Join({BadNames("parent", "orgs/acme", {kMia, kEng, "orgs/acme/services/portal", "orgs/acme/workloads/runner"}),
               Absent("parent", {"orgs/void", "orgs/rival"})});
}

BadRequests BadUserNames(const std::string& path) {
  return Join({BadNames(path, kMia,
                        {"orgs/acme", kEng, "orgs/acme/services/portal", "orgs/acme/users", "orgs/acme/users/",
                         "orgs/acme/users/Mia", "orgs/acme/users/..", "orgs/acme/teams/eng/users/mia",
                         "orgs/acme/users/mia/users/mia"}),
               Absent(path, {"orgs/acme/users/void", "orgs/void/users/mia", "orgs/rival/users/rob"})});
}

BadRequests BadTeamNames(const std::string& path) {
  return Join({BadNames(path, kEng,
                        {"orgs/acme", kMia, "orgs/acme/teams", "orgs/acme/teams/", "orgs/acme/teams/Eng",
                         "orgs/acme/teams/..", "orgs/acme/teams/eng/teams/eng", kEli}),
               Absent(path, {"orgs/acme/teams/void", "orgs/void/teams/eng", "orgs/rival/teams/red"})});
}

BadRequests BadMemberNames(const std::string& path) {
  return Join(
      {BadNames(path, kEli,
                {kEng, kMia, "orgs/acme/members/eli", "orgs/acme/teams/eng/members", "orgs/acme/teams/eng/members/",
                 "orgs/acme/teams/eng/members/Eli", "orgs/acme/users/mia/members/eli"}),
       Absent(path, {"orgs/acme/teams/eng/members/void", "orgs/acme/teams/void/members/eli",
                     "orgs/void/teams/eng/members/eli", "orgs/rival/teams/red/members/rob"})});
}

// `none` is false where an absent role means "unchanged".
BadRequests BadRoles(const std::string& message, bool none) {
  const auto role = [&](const std::string& number) {
    return Invalid(absl::StrCat("role ", number), absl::StrCat(message, " { role: ", number, " }"), message + ".role");
  };
  BadRequests bad = {role("99"), role("-1"), role("2147483647")};
  if (none) bad.push_back(role("0"));
  return bad;
}

BadRequests OtherLists() { return {Invalid("page token of another list", "page_token: '$PAGE_TOKEN'", "page_token")}; }

std::vector<MethodEntry> UserEntries() {
  return {
      {"DirectoryService.CreateUser", Who::kAdmin,
       "parent: 'orgs/acme' user_id: 'new' user { role: ORG_ROLE_MEMBER display_name: 'New' }",
       Join({BadOrgParents(),
             BadIds("user_id"),
             BadTexts("user.display_name", 256),
             BadRoles("user", /*none=*/true),
             Refused("DDDDDDNN"),
             {Fails("duplicate", "user_id: 'mia'", grpc::ALREADY_EXISTS),
              Fails("duplicate of the caller", "user_id: 'root'", grpc::ALREADY_EXISTS)}})},
      {"DirectoryService.GetUser", Who::kAdmin, absl::StrCat("name: '", kMia, "'"),
       Join({BadUserNames("name"), Refused(".NNNNNNN")})},
      {"DirectoryService.ListUsers", Who::kAdmin, "parent: 'orgs/acme'",
       Join({BadOrgParents(),
             BadPages(),
             Refused("......NN"),
             {Invalid("page token of another caller", "page_token: '$PAGE_TOKEN'", "page_token", Who::kMember)}})},
      {"DirectoryService.UpdateUser", Who::kAdmin, absl::StrCat("user { name: '", kMia, "' display_name: 'Mia' }"),
       Join({BadUserNames("user.name"),
             BadTexts("user.display_name", 256),
             BadRoles("user", /*none=*/false),
             BadMasks(),
             Refused("DNNNNNNN"),
             {Fails("stale etag", "user { etag: 'stale' }", grpc::ABORTED),
              Invalid("no role, in the mask", "update_mask { paths: 'role' }", "user.role"),
              Fails("the last ADMIN's role", "user { name: 'orgs/acme/users/root' role: ORG_ROLE_MEMBER }",
                    grpc::FAILED_PRECONDITION),
              Fails("own role", "user { role: ORG_ROLE_ADMIN }", grpc::PERMISSION_DENIED, Who::kMember)}})},
      {"DirectoryService.DeleteUser", Who::kAdmin, "name: 'orgs/acme/users/spare'",
       Join({BadUserNames("name"),
             Refused("NNNNNNNN"),
             {Fails("the last ADMIN", "name: 'orgs/acme/users/root'", grpc::FAILED_PRECONDITION),
              Fails("oneself", Set("name", kMia), grpc::PERMISSION_DENIED, Who::kMember)}})},
  };
}

std::vector<MethodEntry> TeamEntries() {
  const std::string eli = absl::StrCat("name: '", kEli, "'");
  return {
      {"DirectoryService.CreateTeam", Who::kAdmin, "parent: 'orgs/acme' team_id: 'new' team { display_name: 'New' }",
       Join({BadOrgParents(),
             BadIds("team_id"),
             BadTexts("team.display_name", 256),
             Refused("DDDDDDNN"),
             {Fails("duplicate", "team_id: 'eng'", grpc::ALREADY_EXISTS)}})},
      {"DirectoryService.GetTeam", Who::kAdmin, absl::StrCat("name: '", kEng, "'"),
       Join({BadTeamNames("name"), Refused("N...NNNN")})},
      {"DirectoryService.ListTeams", Who::kAdmin, "parent: 'orgs/acme'",
       Join({BadOrgParents(), BadPages(), OtherLists(), Refused("......NN")})},
      {"DirectoryService.SetTeamMember", Who::kAdmin, absl::StrCat("member { ", eli, " role: TEAM_ROLE_ADMIN }"),
       Join({BadMemberNames("member.name"),
             BadRoles("member", /*none=*/true),
             Refused("N..DNNNN"),
             {Fails("into the own team by oneself",
                    "member { name: 'orgs/acme/teams/ops/members/mia' role: TEAM_ROLE_OWNER }", grpc::NOT_FOUND,
                    Who::kMember)}})},
      {"DirectoryService.ListTeamMembers", Who::kAdmin, absl::StrCat("parent: '", kEng, "'"),
       Join({BadTeamNames("parent"), BadPages(), OtherLists(), Refused("N...NNNN")})},
      {"DirectoryService.RemoveTeamMember", Who::kAdmin, eli,
       Join({BadMemberNames("name"), Absent("name", {"orgs/acme/teams/eng/members/mia"}), Refused("N..DNNNN")})},
      {"DirectoryService.DeleteTeam", Who::kAdmin, "name: 'orgs/acme/teams/spare'",
       Join({BadTeamNames("name"), Refused("NNNNNNNN"), Refused("NDDDNNNN", Set("name", kEng))})},
  };
}

}  // namespace

std::vector<MethodEntry> PeopleEntries() {
  std::vector<MethodEntry> entries = UserEntries();
  for (const MethodEntry& entry : TeamEntries()) entries.push_back(entry);
  return entries;
}

std::vector<MethodEntry> OrgEntries() {
  const std::vector<std::string> others = {kMia, kEng, "orgs/acme/services/portal",
                                           "orgs/acme/credentials/GITHUB_TOKEN"};
  const BadRequests names =
      Join({BadNames("name", "orgs/acme", others), Absent("name", {"orgs/void", "orgs/rival", "orgs/acme2"})});
  return {
      {"DirectoryService.GetOrg", Who::kAdmin, "name: 'orgs/acme'", Join({names, Refused("......NN")})},
      {"DirectoryService.UpdateOrg", Who::kAdmin, "org { name: 'orgs/acme' display_name: 'Acme' tier: TIER_BUSINESS }",
       Join(
           {BadNames("org.name", "orgs/acme", others),
            Absent("org.name", {"orgs/void", "orgs/rival"}),
            BadTexts("org.display_name", 256),
            BadMasks(),
            Refused("DDDDDDNN"),
            {Invalid("tier 99", "org { tier: 99 }", "org.tier"), Invalid("tier -1", "org { tier: -1 }", "org.tier"),
             Invalid("no tier, in the mask", "org { tier: 0 } update_mask { paths: 'tier' }", "org.tier"),
             Invalid("allowed name: ours", "org { allowed_variable_names: 'KEYFERRY_TOKEN' }",
                     "org.allowed_variable_names[0]"),
             Invalid("allowed name: harmless", "org { allowed_variable_names: 'PATH' allowed_variable_names: 'TOKEN' }",
                     "org.allowed_variable_names[1]"),
             Invalid("allowed name: none", "org { allowed_variable_names: 'LD_A B' }", "org.allowed_variable_names[0]"),
             Invalid("allowed name: twice", "org { allowed_variable_names: 'PATH' allowed_variable_names: 'PATH' }",
                     "org.allowed_variable_names[1]"),
             Fails("stale etag", "org { etag: 'stale' }", grpc::ABORTED),
             Fails("another's etag", "org { etag: '$GITHUB_ETAG' }", grpc::ABORTED)}})},
      {"DirectoryService.GetOrgEncryption", Who::kAdmin, "name: 'orgs/acme'", Join({names, Refused("DDDDDDNN")})},
      {"DirectoryService.RotateOrgDataKey", Who::kAdmin, "name: 'orgs/acme'", Join({names, Refused("DDDDDDNN")})},
      {"DirectoryService.DeleteOrg", Who::kAdmin, "name: 'orgs/acme' etag: '$ORG_ETAG'",
       Join({names,
             Refused("DDDDDDNN"),
             {Invalid("no etag", "etag: ''", "etag"), Fails("stale etag", "etag: 'stale'", grpc::ABORTED),
              Fails("etag and a space", "etag: '$ORG_ETAG '", grpc::ABORTED),
              Fails("another's etag", "etag: '$GITHUB_ETAG'", grpc::ABORTED)}})},
  };
}

}  // namespace keyferry::testing
