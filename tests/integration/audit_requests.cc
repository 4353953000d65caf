#include "absl/strings/str_cat.h"
#include "tests/integration/bad_requests.h"

namespace keyferry::testing {
namespace {

// Malformed parents, and well-formed ones that are no organization.
BadRequests BadOrgs() {
  return Join(
      {BadNames("parent", "orgs/acme",
                {"orgs/acme/teams/eng", "orgs/acme/users/mia", "orgs/acme/services/portal",
                 "orgs/acme/workloads/runner", "orgs/acme/credentials/GITHUB_TOKEN", "orgs/acme/auditEntries/1"}),
       Absent("parent", {"orgs/void", "orgs/rival"})});
}

BadRequests BadFilters() {
  const auto filter = [](const std::string& label, const std::string& field, const std::string& setting) {
    return Invalid(absl::StrCat(field, ": ", label), absl::StrCat("filter { ", setting, " }"),
                   absl::StrCat("filter.", field));
  };
  return {
      filter("an id", "principal", "principal: 'mia'"),
      filter("an org", "principal", "principal: 'orgs/acme'"),
      filter("a team", "principal", "principal: 'orgs/acme/teams/eng'"),
      filter("of another org", "principal", "principal: 'orgs/rival/users/eve'"),
      filter("NUL", "principal", "principal: 'orgs/acme/users/m\\000a'"),
      filter("513 bytes", "principal", absl::StrCat("principal: 'orgs/acme/users/", std::string(497, 'a'), "'")),
      filter("three parts", "method", "method: 'A/B/C'"),
      filter("no service", "method", "method: '/Get'"),
      filter("no method", "method", "method: 'A/'"),
      filter("space", "method", "method: 'A B'"),
      filter("NUL", "method", "method: 'A\\000'"),
      filter("129 bytes", "method", absl::StrCat("method: '", std::string(129, 'A'), "'")),
      filter("one word", "resource", "resource: 'acme'"),
      filter("of another org", "resource", "resource: 'orgs/rival/credentials/RIVAL_KEY'"),
      filter("another org's beginning", "resource", "resource: 'orgs/acme2'"),
      filter("trailing slash", "resource", "resource: 'orgs/acme/'"),
      filter("NUL", "resource", "resource: 'orgs/acme/a\\000b'"),
      filter("513 bytes", "resource", absl::StrCat("resource: 'orgs/acme/", std::string(503, 'a'), "'")),
      filter("before year 1", "since", "since { seconds: -62135596801 }"),
      filter("negative nanos", "since", "since { nanos: -1 }"),
      filter("after year 9999", "until", "until { seconds: 253402300800 }"),
      filter("a second of nanos", "until", "until { nanos: 1000000000 }"),
  };
}

}  // namespace

std::vector<MethodEntry> AuditEntries() {
  const std::string parent = "parent: 'orgs/acme'";
  return {
      {"AuditService.ListAuditEntries", Who::kAdmin, parent,
       Join({BadOrgs(), BadPages(), BadFilters(), Refused(".......N")})},
      {"AuditService.GetAuditHead", Who::kAdmin, parent, Join({BadOrgs(), Refused("DDDDDDDN")})},
      {"AuditService.VerifyAuditLog", Who::kAdmin, parent,
       Join({BadOrgs(),
             Refused("DDDDDDDN"),
             {Invalid("expected: no hash", "expected { sequence: 1 }", "expected.hash"),
              Invalid("expected: a short hash", "expected { sequence: 1 hash: 'x' }", "expected.hash"),
              Invalid("expected: a long hash", absl::StrCat("expected { hash: '", std::string(33, 'x'), "' }"),
                      "expected.hash"),
              Invalid("expected: a negative sequence", "expected { sequence: -1 }", "expected.sequence")}})},
  };
}

}  // namespace keyferry::testing
