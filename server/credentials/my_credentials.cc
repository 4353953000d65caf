// "My credentials": every name that one user can see, the user's own state first.
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "keyferry/v1/mcp_servers.pb.h"
#include "server/credentials/conversion.h"
#include "server/credentials/credential_rules.h"
#include "server/errors.h"
#include "server/records.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Table;

// What answers for one name. The first to claim it wins, so scopes are gathered narrowest first.
struct Answer {
  v1::MyCredentialStatus status = v1::MY_CREDENTIAL_STATUS_NOT_SET;
  ParentName parent;
  records::CredentialRecord record;
};
using Answers = std::map<std::string, Answer>;

v1::MyCredentialStatus StatusFor(ParentName::Kind kind) {
  switch (kind) {
    case ParentName::kUser:
      return v1::MY_CREDENTIAL_STATUS_SET_BY_ME;
    case ParentName::kTeam:
      return v1::MY_CREDENTIAL_STATUS_SET_BY_TEAM;
    default:
      return v1::MY_CREDENTIAL_STATUS_SET_BY_ORG;
  }
}

absl::Status GatherCredentials(const storage::StoreView& view, const ParentName& parent, Answers* answers) {
  ASSIGN_OR_RETURN(auto stored,
                   ScanRecords<records::CredentialRecord>(view, Table::kCredential, parent.org, parent.RecordParent()));
  for (auto& one : stored) {
    const std::string id = one.record.id();
    answers->try_emplace(id, Answer{StatusFor(parent.kind), parent, std::move(one.record)});
  }
  return absl::OkStatus();
}

void GatherBinding(const v1::EnvBinding& binding, Answers* answers) {
  switch (binding.source_case()) {
    case v1::EnvBinding::kOrgSecret:
      answers->try_emplace(binding.org_secret());
      break;
    case v1::EnvBinding::kTeamSecret:
      answers->try_emplace(binding.team_secret());
      break;
    case v1::EnvBinding::kUserSecret:
      answers->try_emplace(binding.user_secret());
      break;
    case v1::EnvBinding::kOauth:
      // No connection can be stored on this server, so whatever needs one is not connected.
      answers->try_emplace(binding.variable(), Answer{v1::MY_CREDENTIAL_STATUS_CONNECT_NEEDED, {}, {}});
      break;
    default:
      break;
  }
}

absl::Status GatherBindings(const storage::StoreView& view, const ParentName& parent, Answers* answers) {
  absl::Status decoded;
  RETURN_IF_ERROR(view.Scan(Table::kMcpServer, parent.org, parent.RecordParent(), [&](storage::Record stored) {
    // Both hold static values.
    storage::Wiped<records::McpServerRecord> record;
    storage::Wiped<v1::McpServer> server;
    decoded = storage::ParseSecretInto(stored.payload, *record);
    if (decoded.ok() && !server->ParseFromString(record->definition())) {
      decoded = absl::DataLossError("an MCP server's definition does not parse");
    }
    if (!decoded.ok()) return false;
    for (const v1::EnvBinding& binding : server->env()) GatherBinding(binding, answers);
    return true;
  }));
  return decoded;
}

// The user, the user's teams in order of id, and the org: the order in which they answer.
std::vector<ParentName> ScopesOf(const Caller& caller) {
  std::vector<ParentName> scopes = {{ParentName::kUser, caller.org, caller.id}};
  for (const auto& [team, role] : caller.teams) {
    if (!IsTeamSuspended(caller.tier, team)) scopes.push_back({ParentName::kTeam, caller.org, team});
  }
  std::sort(scopes.begin() + 1, scopes.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  scopes.push_back({ParentName::kOrg, caller.org, ""});
  return scopes;
}

absl::StatusOr<Answers> Gather(const storage::StoreView& view, const Caller& caller) {
  Answers answers;
  const std::vector<ParentName> scopes = ScopesOf(caller);
  for (const ParentName& scope : scopes) RETURN_IF_ERROR(GatherCredentials(view, scope, &answers));
  for (const ParentName& scope : scopes) {
    if (scope.kind != ParentName::kUser) RETURN_IF_ERROR(GatherBindings(view, scope, &answers));
  }
  return answers;
}

}  // namespace

absl::StatusOr<v1::ListMyCredentialsResponse> CredentialRules::ListMyCredentials(
    const Caller& caller, const v1::ListMyCredentialsRequest& request) const {
  ASSIGN_OR_RETURN(const ParentName parent, ParseParent(request.parent(), "parent"));
  if (parent.kind != ParentName::kUser) {
    return InvalidField("parent", "not a user", "Use `orgs/{org}/users/{user}` with the calling user.");
  }
  RETURN_IF_ERROR(Authorize(caller, Action::kSee, CredentialResource(parent, request.parent())));
  const std::unique_ptr<storage::StoreView> view = store_->View();
  const absl::StatusOr<Answers> answers = Gather(*view, caller);
  if (!answers.ok()) return FromStore(answers.status(), request.parent());
  std::vector<std::string> ids;
  for (const auto& [id, answer] : *answers) ids.push_back(id);
  ASSIGN_OR_RETURN(IdPage page, MakePage(*pages_, caller, "ListMyCredentials", request.parent(), request.page_size(),
                                         request.page_token(), std::move(ids)));
  v1::ListMyCredentialsResponse response;
  for (const std::string& id : page.ids) {
    const Answer& answer = answers->at(id);
    v1::MyCredential* mine = response.add_my_credentials();
    mine->set_credential_id(id);
    mine->set_status(answer.status);
    if (answer.record.id().empty()) continue;
    absl::StatusOr<v1::Credential> shown = Show(caller, answer.parent, answer.record, *view);
    if (!shown.ok()) return FromStore(shown.status(), request.parent());
    mine->mutable_credential()->Swap(&*shown);
  }
  response.set_next_page_token(page.next_page_token);
  return response;
}

}  // namespace keyferry::server
