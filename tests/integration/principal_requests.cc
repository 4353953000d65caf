// The methods about services, workloads and tokens.
#include "absl/strings/str_cat.h"
#include "tests/integration/bad_requests.h"

namespace keyferry::testing {
namespace {

constexpr char kMia[] = "orgs/acme/users/mia";

BadRequests BadOrgParents() {
  return Join({BadNames("parent", "orgs/acme", {kMia, "orgs/acme/teams/eng", "orgs/acme/services/portal"}),
               Absent("parent", {"orgs/void", "orgs/rival"})});
}

// Names of services or workloads.
BadRequests BadPrincipals(const std::string& path, const std::string& collection, const std::string& id) {
  const std::string below = absl::StrCat("orgs/acme/", collection);
  return Join({BadNames(path, absl::StrCat(below, "/", id),
                        {"orgs/acme", kMia, "orgs/acme/teams/eng", below, absl::StrCat(below, "/"),
                         absl::StrCat(below, "/Upper"), absl::StrCat(below, "/.."),
                         absl::StrCat("orgs/acme/users/mia/", collection, "/", id)}),
               Absent(path, {absl::StrCat(below, "/void"), absl::StrCat("orgs/void/", collection, "/", id),
                             absl::StrCat("orgs/rival/", collection, "/", id)})});
}

BadRequests BadGrants() {
  const auto grant = [](const std::string& label, const std::string& name) {
    return Invalid("grant: " + label, Set("workload.mcp_servers", name), "workload.mcp_servers[0]");
  };
  std::string many;
  for (int i = 0; i < 257; ++i) absl::StrAppend(&many, " mcp_servers: 'orgs/acme/mcpServers/m", i, "'");
  return {
      grant("empty", ""),
      grant("an org", "orgs/acme"),
      grant("a credential", "orgs/acme/credentials/GITHUB_TOKEN"),
      grant("a user's", "orgs/acme/users/mia/mcpServers/x"),
      grant("wildcard", "orgs/acme/mcpServers/*"),
      grant("dot dot", "orgs/acme/mcpServers/.."),
      grant("of another org", "orgs/rival/mcpServers/vault"),
      grant("NUL", std::string("orgs/acme/mcpServers/a\0b", 24)),
      grant("513 bytes", "orgs/acme/mcpServers/" + std::string(492, 'a')),
      Invalid("grants: 257", absl::StrCat("workload { ", many, " }"), "workload.mcp_servers"),
      Invalid("grants: duplicate",
              "workload { mcp_servers: 'orgs/acme/mcpServers/github' mcp_servers: 'orgs/acme/mcpServers/github' }",
              "workload.mcp_servers[1]"),
  };
}

// The server of these tests trusts no issuer and no trust domain.
BadRequests BadIdentities() {
  const auto kubernetes = [](const std::string& label, const std::string& fields, const std::string& field) {
    return Invalid("identity: " + label, absl::StrCat("workload { identities { kubernetes { ", fields, " } } }"),
                   "workload.identities[0].kubernetes." + field);
  };
  const auto spiffe = [](const std::string& label, const std::string& id) {
    return Invalid("identity: " + label, absl::StrCat("workload { identities { spiffe_id: '", id, "' } }"),
                   "workload.identities[0].spiffe_id");
  };
  std::string many;
  for (int i = 0; i < 17; ++i) absl::StrAppend(&many, " identities { spiffe_id: 'spiffe://a/", i, "' }");
  return {
      kubernetes("no namespace", "issuer: 'cluster' service_account: 'a'", "namespace"),
      kubernetes("no service account", "issuer: 'cluster' namespace: 'a'", "service_account"),
      kubernetes("a namespace with a slash", "issuer: 'cluster' namespace: 'a/b' service_account: 'a'", "namespace"),
      kubernetes("no issuer", "namespace: 'a' service_account: 'a'", "issuer"),
      kubernetes("an unknown issuer", "issuer: 'cluster' namespace: 'a' service_account: 'a'", "issuer"),
      kubernetes("a pod with a space", "issuer: 'c' namespace: 'a' service_account: 'a' pod: 'a b'", "pod"),
      kubernetes("a long UID",
                 absl::StrCat("issuer: 'c' namespace: 'a' service_account: 'a' pod_uid: '", std::string(129, 'u'), "'"),
                 "pod_uid"),
      spiffe("an unknown trust domain", "spiffe://prod/a"),
      spiffe("no SPIFFE ID", "https://prod/a"),
      spiffe("2049 bytes", "spiffe://a/" + std::string(2038, 'b')),
      Invalid("identity: empty", "workload { identities { } }", "workload.identities[0]"),
      Invalid("identity: two at once", "workload { identities { kubernetes { } spiffe_id: 'spiffe://a/b' } }",
              "workload.identities[0]"),
      Invalid("identities: 17", absl::StrCat("workload { ", many, " }"), "workload.identities"),
  };
}

BadRequests Lists() {
  return Join({BadOrgParents(),
               BadPages(),
               Refused("......NN"),
               {Invalid("page token of another list", "page_token: '$PAGE_TOKEN'", "page_token")}});
}

BadRequests StaleEtags(const std::string& path) {
  return {Fails("stale etag", Set(path, "stale"), grpc::ABORTED),
          Fails("another's etag", Set(path, "$ORG_ETAG"), grpc::ABORTED),
          Fails("etag of 100,000 bytes", Set(path, std::string(100000, 'A')), grpc::ABORTED)};
}

BadRequests BadTtls() {
  BadRequests bad;
  for (const char* ttl :
       {"seconds: 0", "seconds: 59", "seconds: 59 nanos: 999999999", "seconds: -1", "seconds: 31536001",
        "seconds: 31536000 nanos: 1", "nanos: -1", "seconds: 60 nanos: 1000000000", "seconds: 9223372036854775807",
        "seconds: -9223372036854775808"}) {
    bad.push_back(Invalid(absl::StrCat("ttl { ", ttl, " }"), absl::StrCat("ttl { ", ttl, " }"), "ttl"));
  }
  return bad;
}

}  // namespace

std::vector<MethodEntry> PrincipalEntries() {
  const auto role = [](const std::string& number) {
    return Invalid("role " + number, absl::StrCat("service { role: ", number, " }"), "service.role");
  };
  return {
      {"DirectoryService.CreateService", Who::kAdmin,
       "parent: 'orgs/acme' service_id: 'new' service { role: ORG_ROLE_MEMBER }",
       Join({BadOrgParents(),
             BadIds("service_id"),
             BadTexts("service.display_name", 256),
             Refused("DDDDDDNN"),
             {role("0"), role("99"), role("-1"), Fails("duplicate", "service_id: 'portal'", grpc::ALREADY_EXISTS)}})},
      {"DirectoryService.ListServices", Who::kAdmin, "parent: 'orgs/acme'", Lists()},
      {"DirectoryService.UpdateService", Who::kAdmin,
       "service { name: 'orgs/acme/services/portal' display_name: 'Portal' }",
       Join({BadPrincipals("service.name", "services", "portal"),
             BadTexts("service.display_name", 256),
             BadMasks(),
             Refused("NNNNNNNN"),
             StaleEtags("service.etag"),
             {role("99"), role("-1"), Invalid("role: none", "update_mask { paths: 'role' }", "service.role"),
              Fails("its own rights, as the service", "service { role: ORG_ROLE_ADMIN }", grpc::NOT_FOUND,
                    Who::kService)}})},
      {"DirectoryService.DeleteService", Who::kAdmin, "name: 'orgs/acme/services/spare'",
       Join({BadPrincipals("name", "services", "spare"), Refused("NNNNNNNN")})},
      {"DirectoryService.CreateWorkload", Who::kAdmin, "parent: 'orgs/acme' workload_id: 'new'",
       Join({BadOrgParents(),
             BadIds("workload_id"),
             BadTexts("workload.display_name", 256),
             BadGrants(),
             BadIdentities(),
             Refused("DDDDDDNN"),
             {Fails("duplicate", "workload_id: 'runner'", grpc::ALREADY_EXISTS)}})},
      {"DirectoryService.ListWorkloads", Who::kAdmin, "parent: 'orgs/acme'", Lists()},
      {"DirectoryService.UpdateWorkload", Who::kAdmin,
       "workload { name: 'orgs/acme/workloads/runner' display_name: 'Runner' }",
       Join({BadPrincipals("workload.name", "workloads", "runner"),
             BadTexts("workload.display_name", 256),
             BadGrants(),
             BadIdentities(),
             BadMasks(),
             Refused("NNNNNNNN"),
             StaleEtags("workload.etag"),
             {Fails("its own grants, as the workload", "workload { mcp_servers: 'orgs/acme/mcpServers/probe' }",
                    grpc::NOT_FOUND, Who::kWorkload)}})},
      {"DirectoryService.DeleteWorkload", Who::kAdmin, "name: 'orgs/acme/workloads/spare'",
       Join({BadPrincipals("name", "workloads", "spare"), Refused("NNNNNNNN")})},
  };
}

std::vector<MethodEntry> TokenEntries() {
  const std::vector<std::string> not_principals = {"orgs/acme", "orgs/acme/teams/eng", "orgs/acme/users",
                                                   "orgs/acme/users/", "orgs/acme/users/Mia"};
  const BadRequests bad_parents =
      Join({BadNames("parent", kMia, not_principals),
            Absent("parent", {"orgs/acme/users/void", "orgs/acme/services/void", "orgs/acme/workloads/void",
                              "orgs/void/users/mia", "orgs/rival/users/rob"})});
  return {
      {"TokenService.CreateToken", Who::kAdmin, "parent: 'orgs/acme/users/mia' ttl { seconds: 3600 }",
       Join({bad_parents, BadTexts("display_name", 256), BadTtls(), Refused(".NNNNNNN"),
             Refused("NNNNNNNN", "parent: 'orgs/acme/services/portal'"),
             Refused("NNNNNNNN", "parent: 'orgs/acme/workloads/runner'")})},
      {"TokenService.ListTokens", Who::kAdmin, "parent: 'orgs/acme/users/mia'",
       Join({bad_parents,
             BadPages(),
             Refused(".NNNNNNN"),
             {Invalid("page token of another list", "page_token: '$PAGE_TOKEN'", "page_token")}})},
      {"TokenService.RevokeToken", Who::kAdmin, "name: '$TOKEN'",
       Join({BadNames("name", "orgs/acme/users/mia/tokens/0123456789abcdef",
                      {kMia, "orgs/acme/users/mia/tokens", "orgs/acme/users/mia/tokens/", "orgs/acme/tokens/x",
                       "orgs/acme/teams/eng/tokens/x", "orgs/acme/users/mia/tokens/X", "orgs/acme/users/mia/tokens/..",
                       "orgs/acme/users/mia/credentials/MIA_KEY"}),
             Absent("name", {"orgs/acme/users/mia/tokens/0123456789abcdef", "orgs/acme/users/void/tokens/x",
                             "orgs/void/users/mia/tokens/x", "orgs/rival/users/eve/tokens/x"}),
             Refused(".NNNNNNN")})},
      {"TokenService.GetCaller", Who::kAdmin, "", {}},
  };
}

}  // namespace keyferry::testing
