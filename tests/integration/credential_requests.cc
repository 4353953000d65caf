#include "absl/strings/str_cat.h"
#include "tests/integration/bad_requests.h"

namespace keyferry::testing {
namespace {

constexpr char kOrgName[] = "orgs/acme/credentials/GITHUB_TOKEN";
constexpr char kTeamName[] = "orgs/acme/teams/eng/credentials/TEAM_KEY";
constexpr char kUserName[] = "orgs/acme/users/mia/credentials/MIA_KEY";

const std::vector<std::string>& NotCredentials() {
  static const auto* names = new std::vector<std::string>{
      "orgs/acme",
      "orgs/acme/credentials",
      "orgs/acme/credentials/",
      "orgs/acme/credentials/1A",
      "orgs/acme/credentials/KEYFERRY_TOKEN",
      "orgs/acme/credentials/A/B",
      "orgs/acme/mcpServers/github",
      "orgs/acme/services/portal/credentials/A",
      "orgs/acme/workloads/runner/credentials/A",
      "orgs/acme/teams/eng",
      "orgs/acme/teams/../credentials/A",
      "orgs/acme/teams/eng/users/mia/credentials/A",
  };
  return *names;
}

const std::vector<std::string>& NotCredentialParents() {
  static const auto* names =
      new std::vector<std::string>{"orgs/acme/services/portal", "orgs/acme/workloads/runner", "orgs/acme/teams",
                                   "orgs/acme/teams/",          "orgs/acme/wizards/x",        kOrgName};
  return *names;
}

std::vector<std::string> AbsentCredentials() {
  return {"orgs/acme/credentials/ABSENT",
          "orgs/acme/credentials/github_token",
          "orgs/acme/credentials/LD_PRELOAD",
          "orgs/acme/credentials/TEAM_KEY",
          "orgs/acme/users/void/credentials/MIA_KEY",
          "orgs/void/credentials/GITHUB_TOKEN",
          "orgs/rival/credentials/RIVAL_KEY"};
}

// Of what changes a credential. Its ADMIN sees a team's credential and may not write it; another's is hidden.
BadRequests RefusedChanges(const std::string& path) {
  return Join({Refused("DDDDDDNN"),
               Refused("N..DNNNN", Set(path, kTeamName)),
               Refused(".NNNNNNN", Set(path, kUserName)),
               {Fails("a team's, as the org's ADMIN", Set(path, kTeamName), grpc::PERMISSION_DENIED),
                Fails("an absent team's, as the org's ADMIN", Set(path, "orgs/acme/teams/void/credentials/TEAM_KEY"),
                      grpc::NOT_FOUND),
                Fails("a user's, as the org's ADMIN", Set(path, kUserName), grpc::NOT_FOUND)}});
}

BadRequests StaleEtags(const std::string& path) {
  BadRequests bad;
  for (const std::string& etag : {std::string("stale"), std::string("$GITHUB_ETAG"), std::string(100000, 'A'),
                                  std::string("\x01"), std::string(" ")}) {
    bad.push_back(Fails("stale etag of " + std::to_string(etag.size()) + " bytes", Set(path, etag), grpc::ABORTED));
  }
  return bad;
}

BadRequests BadTimes() {
  BadRequests bad;
  for (const char* time : {"seconds: -1", "seconds: 7258118400", "seconds: 9223372036854775807",
                           "seconds: -9223372036854775808", "nanos: -1", "nanos: 1000000000", "nanos: 2147483647"}) {
    bad.push_back(Invalid(absl::StrCat("rotate_by ", time), absl::StrCat("credential { rotate_by { ", time, " } }"),
                          "credential.rotate_by"));
  }
  return bad;
}

BadRequests BadGraces() {
  BadRequests bad;
  for (const char* grace : {"seconds: -1", "seconds: 2592001", "seconds: 2592000 nanos: 1", "nanos: -1",
                            "nanos: 1000000000", "seconds: 9223372036854775807", "seconds: -9223372036854775808"}) {
    bad.push_back(Invalid(absl::StrCat("grace ", grace), absl::StrCat("grace { ", grace, " }"), "grace"));
  }
  return bad;
}

MethodEntry Create() {
  const auto duplicate = [](const char* parent, const char* id, Who who) {
    return Fails(absl::StrCat("duplicate in ", parent),
                 absl::StrCat("parent: '", parent, "' credential_id: '", id, "'"), grpc::ALREADY_EXISTS, who);
  };
  return {"CredentialService.CreateCredential", Who::kAdmin,
          "parent: 'orgs/acme' credential_id: 'NEW_KEY' value: 'marker-5e11ed' credential { description: 'new' }",
          Join({BadNames("parent", "orgs/acme", NotCredentialParents()),
                BadVariables("credential_id", "credential_id"),
                BadTexts("credential.description", 1024),
                BadValues("value", "value"),
                BadTimes(),
                Absent("parent", {"orgs/void", "orgs/rival", "orgs/rival/teams/red", "orgs/acme/teams/void"}),
                Absent("parent", {"orgs/acme/users/void"}, Who::kMember),
                Refused("DDDDDDNN"),
                Refused("N..DNNNN", "parent: 'orgs/acme/teams/eng'"),
                Refused(".NNNNNNN", "parent: 'orgs/acme/users/mia'"),
                {Invalid("value: empty", "value: ''", "value"), duplicate("orgs/acme", "GITHUB_TOKEN", Who::kAdmin),
                 duplicate("orgs/acme/teams/eng", "TEAM_KEY", Who::kTeamAdmin),
                 duplicate("orgs/acme/users/mia", "MIA_KEY", Who::kMember),
                 Fails("for a team, as the org's ADMIN", "parent: 'orgs/acme/teams/eng'", grpc::PERMISSION_DENIED),
                 Fails("for another user, as the org's ADMIN", "parent: 'orgs/acme/users/mia'",
                       grpc::PERMISSION_DENIED)}})};
}

BadRequests BadLists(const std::string& method_parent) {
  return Join({BadPages(),
               {Invalid("page token of another list", "page_token: '$PAGE_TOKEN'", "page_token")},
               Absent("parent", {"orgs/void" + method_parent, "orgs/rival" + method_parent})});
}

BadRequests BadConditions() {
  return {
      Invalid("scope 0", "filter { scopes: 0 }", "filter.scopes[0]"),
      Invalid("scope 99", "filter { scopes: CREDENTIAL_SCOPE_ORG scopes: 99 }", "filter.scopes[1]"),
      Invalid("scopes of a team", "parent: 'orgs/acme/teams/eng' filter { scopes: CREDENTIAL_SCOPE_TEAM }",
              "filter.scopes"),
      Invalid("pattern with a slash", "filter { id_pattern: 'A/*' }", "filter.id_pattern"),
      Invalid("pattern: NUL", Set("filter.id_pattern", std::string("A\0*", 3)), "filter.id_pattern"),
      Invalid("pattern of 129 bytes", Set("filter.id_pattern", std::string(129, '*')), "filter.id_pattern"),
      Invalid("pattern of 100,000 bytes", Set("filter.id_pattern", std::string(100000, '?')), "filter.id_pattern"),
      Invalid("status 99", "filter { status: 99 }", "filter.status"),
      Invalid("source -1", "filter { source: -1 }", "filter.source"),
      Invalid("unused since before 1970", "filter { unused_since { seconds: -1 } }", "filter.unused_since"),
      Invalid("unused since, nanos", "filter { unused_since { nanos: -1 } }", "filter.unused_since"),
      Invalid("order by value", "order_by: 'value'", "order_by"),
      Invalid("order by nothing", "order_by: ','", "order_by"),
      Invalid("order up", "order_by: 'name asc'", "order_by"),
      Invalid("order: NUL", Set("order_by", std::string("name\0", 5)), "order_by"),
      Invalid("order of 100,000 bytes", Set("order_by", std::string(100000, ' ') + "name"), "order_by"),
      Fails("scopes of another organization", "parent: 'orgs/rival' filter { scopes: CREDENTIAL_SCOPE_ORG }",
            grpc::NOT_FOUND),
  };
}

// The first request or entry of a batch is the good request's; these add a second one.
std::string Second(const std::string& field, const std::string& content) {
  return absl::StrCat(field, " { ", content, " }");
}

MethodEntry BatchRotate() {
  const auto second = [](const std::string& content) { return Second("requests", content); };
  const std::string probe = "name: 'orgs/acme/credentials/PROBE_KEY' ";
  const std::string good_value = "value: 'marker-5e11ed' ";
  std::string many;
  for (int i = 0; i < 100; ++i) absl::StrAppend(&many, second(absl::StrCat("name: 'orgs/acme/credentials/N", i, "'")));
  BadRequests bad = {
      Invalid("101 requests", many, "requests"),
      Invalid("twice", second(absl::StrCat("name: '", kOrgName, "' ", good_value)), "requests[1].name"),
      Invalid("of another organization", second("name: 'orgs/rival/credentials/RIVAL_KEY' " + good_value),
              "requests[1].name"),
      Invalid("no value", second(probe), "requests[1].value"),
      Invalid("value: NUL", second(probe + "value: 'a\\000b'"), "requests[1].value"),
      Invalid("grace", second(probe + good_value + "grace { seconds: 2592001 }"), "requests[1].grace"),
      Fails("stale etag", second(probe + good_value + "etag: 'stale'"), grpc::ABORTED),
      Fails("another's etag", second(probe + good_value + "etag: '$GITHUB_ETAG'"), grpc::ABORTED),
      Fails("a team's, as the org's ADMIN", second(absl::StrCat("name: '", kTeamName, "' ", good_value)),
            grpc::PERMISSION_DENIED),
      Fails("a user's, as the org's ADMIN", second(absl::StrCat("name: '", kUserName, "' ", good_value)),
            grpc::NOT_FOUND),
      Fails("absent", second("name: 'orgs/acme/credentials/ABSENT' " + good_value), grpc::NOT_FOUND),
  };
  for (const std::string& name : NotCredentials()) {
    bad.push_back(Invalid(name, second(absl::StrCat(Set("name", name), " ", good_value)), "requests[1].name"));
  }
  return {"CredentialService.BatchRotateCredentials", Who::kAdmin,
          absl::StrCat("parent: 'orgs/acme' requests { name: '", kOrgName, "' value: 'marker-5e11ed-3' }"),
          Join({bad, BadNames("parent", "orgs/acme", {"orgs/acme/teams/eng", "orgs/acme/users/root", kOrgName}),
                Absent("parent", {"orgs/void", "orgs/rival"}), Refused("DDDDDDNN")})};
}

MethodEntry Import() {
  const auto second = [](const std::string& content) { return Second("entries", content); };
  const std::string good_value = "value: 'marker-5e11ed' ";
  std::string many;
  for (int i = 0; i < 1000; ++i) absl::StrAppend(&many, second(absl::StrCat("credential_id: 'N", i, "'")));
  BadRequests bad = {
      Invalid("1001 entries", many, "entries"),
      Invalid("twice", second("credential_id: 'IMPORTED_KEY' " + good_value), "entries[1].credential_id"),
      Invalid("no value", second("credential_id: 'B'"), "entries[1].value"),
      Invalid("value: NUL", second("credential_id: 'B' value: 'marker-5e11ed\\000'"), "entries[1].value"),
      Invalid("description: control character", second("credential_id: 'B' description: '\\001' " + good_value),
              "entries[1].description"),
      Invalid("rotate_by", second("credential_id: 'B' rotate_by { seconds: -1 } " + good_value),
              "entries[1].rotate_by"),
      Invalid("conflict 99", "conflict: 99", "conflict"),
      Fails("stored already", second("credential_id: 'GITHUB_TOKEN' " + good_value), grpc::ALREADY_EXISTS),
      Fails("stored already, to fail",
            "conflict: IMPORT_CONFLICT_FAIL " + second("credential_id: 'GITHUB_TOKEN' " + good_value),
            grpc::ALREADY_EXISTS),
      Fails("only validated, stored already",
            "validate_only: true " + second("credential_id: 'PROBE_KEY' " + good_value), grpc::ALREADY_EXISTS),
      Fails("for a team, as the org's ADMIN", "parent: 'orgs/acme/teams/eng'", grpc::PERMISSION_DENIED),
      Fails("for another user, as the org's ADMIN", "parent: 'orgs/acme/users/mia'", grpc::PERMISSION_DENIED),
  };
  for (BadRequest one : BadVariables("credential_id", "entries[1].credential_id")) {
    one.edit = second(absl::StrCat(one.edit, " ", good_value));
    bad.push_back(one);
  }
  return {"CredentialService.ImportCredentials", Who::kAdmin,
          "parent: 'orgs/acme' entries { credential_id: 'IMPORTED_KEY' value: 'marker-5e11ed' }",
          Join({bad, BadGraces(), BadNames("parent", "orgs/acme", NotCredentialParents()),
                Absent("parent", {"orgs/void", "orgs/rival", "orgs/rival/teams/red"}), Refused("DDDDDDNN"),
                Refused("N..DNNNN", "parent: 'orgs/acme/teams/eng'"),
                Refused(".NNNNNNN", "parent: 'orgs/acme/users/mia'"), Refused("DDDDDDNN", "validate_only: true")})};
}

}  // namespace

std::vector<MethodEntry> CredentialEntries() {
  const std::string name = absl::StrCat("name: '", kOrgName, "'");
  const BadRequests bad_names =
      Join({BadNames("name", kOrgName, NotCredentials()), Absent("name", AbsentCredentials())});
  const BadRequests deleted_by_others =
      Join({Refused("DDDDDDNN"),
            Refused("N..DNNNN", Set("name", kTeamName)),
            Refused(".NNNNNNN", Set("name", kUserName)),
            {Fails("a user's, as the org's ADMIN", Set("name", kUserName), grpc::NOT_FOUND)}});
  return {
      Create(),
      {"CredentialService.GetCredential", Who::kAdmin, name,
       Join({bad_names,
             Refused("......NN"),
             Refused("N...NNNN", Set("name", kTeamName)),
             Refused(".NNNNNNN", Set("name", kUserName)),
             {Fails("a user's, as the org's ADMIN", Set("name", kUserName), grpc::NOT_FOUND)}})},
      {"CredentialService.ListCredentials", Who::kAdmin, "parent: 'orgs/acme'",
       Join({BadNames("parent", "orgs/acme", NotCredentialParents()),
             BadLists(""),
             BadConditions(),
             Absent("parent", {"orgs/acme/teams/void", "orgs/acme/users/void"}),
             Refused("......NN"),
             Refused("N...NNNN", "parent: 'orgs/acme/teams/eng'"),
             Refused(".NNNNNNN", "parent: 'orgs/acme/users/mia'"),
             {Fails("a user's, as the org's ADMIN", "parent: 'orgs/acme/users/mia'", grpc::NOT_FOUND)}})},
      {"CredentialService.ListMyCredentials", Who::kAdmin, "parent: 'orgs/acme/users/root'",
       Join({BadNames("parent", "orgs/acme/users/root",
                      {"orgs/acme", "orgs/acme/teams/eng", "orgs/acme/services/portal", kUserName}),
             BadLists("/users/root"),
             Absent("parent", {"orgs/acme/users/mia", "orgs/acme/users/void"}),
             Refused("NNNNNNNN"),
             {Invalid("pattern with a slash", "id_pattern: 'A/*'", "id_pattern"),
              Invalid("pattern of 100,000 bytes", Set("id_pattern", std::string(100000, '?')), "id_pattern"),
              Invalid("status 0", "statuses: 0", "statuses[0]"),
              Invalid("status 99", "statuses: MY_CREDENTIAL_STATUS_NOT_SET statuses: 99", "statuses[1]"),
              Invalid("source -1", "source: -1", "source"),
              Invalid("order by value", "order_by: 'value'", "order_by")}})},
      {"CredentialService.UpdateCredential", Who::kAdmin,
       absl::StrCat("credential { name: '", kOrgName, "' description: 'changed' }"),
       Join({BadNames("credential.name", kOrgName, NotCredentials()),
             Absent("credential.name", AbsentCredentials()),
             BadTexts("credential.description", 1024),
             BadTimes(),
             BadMasks(),
             StaleEtags("credential.etag"),
             RefusedChanges("credential.name"),
             {Invalid("value in the mask", "update_mask { paths: 'description' paths: 'value' }", "update_mask"),
              Invalid("nothing to update", "credential { description: '' }", "update_mask")}})},
      {"CredentialService.RotateCredential", Who::kAdmin, absl::StrCat(name, " value: 'marker-5e11ed-2'"),
       Join({bad_names,
             BadValues("value", "value"),
             BadGraces(),
             StaleEtags("etag"),
             RefusedChanges("name"),
             {Invalid("value: empty", "value: ''", "value"),
              Invalid("rotate_by: negative", "rotate_by { seconds: -1 }", "rotate_by"),
              Invalid("rotate_by: set and removed", "rotate_by { seconds: 1 } remove_rotate_by: true",
                      "remove_rotate_by")}})},
      BatchRotate(),
      Import(),
      {"CredentialService.RollbackCredential", Who::kAdmin, "name: 'orgs/acme/credentials/SPARE_KEY'",
       Join({bad_names,
             StaleEtags("etag"),
             RefusedChanges("name"),
             {Fails("no previous version is kept", "name: 'orgs/acme/credentials/PROBE_KEY'",
                    grpc::FAILED_PRECONDITION)}})},
      {"CredentialService.DeleteCredential", Who::kAdmin, "name: 'orgs/acme/credentials/SPARE_KEY'",
       Join({bad_names, StaleEtags("etag"), deleted_by_others})},
  };
}

}  // namespace keyferry::testing
