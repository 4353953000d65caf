// "My credentials": every name that one user can see, the user's own state first.
#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "keyferry/v1/mcp_servers.pb.h"
#include "server/credentials/conversion.h"
#include "server/credentials/credential_rules.h"
#include "server/errors.h"
#include "server/records.h"
#include "server/resolution/connection_state.h"
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
  // Of a variable that is taken from an OAuth provider: its id, and the connection that there is.
  std::string provider;
  std::string connection;
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
    answers->try_emplace(id, Answer{StatusFor(parent.kind), parent, std::move(one.record), "", ""});
  }
  return absl::OkStatus();
}

// Which connection answers for one user, of the scopes that a binding may take it from.
class Connections {
 public:
  Connections(const storage::StoreView& view, const Caller& caller, absl::Time now)
      : view_(view), caller_(caller), now_(now) {}

  // `owner` is the MCP server's. `teams` are the user's, in the order in which they answer for an MCP server of the
  // organization's.
  absl::StatusOr<Answer> Find(const v1::EnvBinding& binding, const ParentName& owner,
                              const std::vector<ParentName>& teams) const {
    Answer answer;
    answer.status = v1::MY_CREDENTIAL_STATUS_CONNECT_NEEDED;
    answer.provider = binding.oauth();
    std::vector<ParentName> scopes;
    if (!binding.not_overridable()) {
      scopes.push_back({ParentName::kUser, caller_.org, caller_.id});
      if (owner.kind == ParentName::kTeam) {
        scopes.push_back(owner);
      } else {
        scopes.insert(scopes.end(), teams.begin(), teams.end());
      }
    }
    scopes.push_back({ParentName::kOrg, caller_.org, ""});
    for (const ParentName& scope : scopes) {
      const bool own = scope.kind == ParentName::kUser;
      absl::StatusOr<FoundConnection> found =
          own ? FindConnectionOfUser(view_, scope, caller_.user_create_time, binding.oauth(), now_)
              : FindConnection(view_, scope, binding.oauth(), now_);
      RETURN_IF_ERROR(found.status());
      if (found->state == GrantState::kNone) continue;
      const std::string name = ChildName{scope, binding.oauth()}.Name("connections");
      if (found->state == GrantState::kConnectNeeded) {
        if (own) answer.connection = name;
        continue;
      }
      answer.status = StatusFor(scope.kind);
      answer.connection = name;
      break;
    }
    return answer;
  }

 private:
  const storage::StoreView& view_;
  const Caller& caller_;
  const absl::Time now_;
};

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
    default:
      break;
  }
}

absl::Status GatherBindings(const storage::StoreView& view, const ParentName& parent, const Connections& connections,
                            const std::vector<ParentName>& teams, Answers* answers) {
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
    for (const v1::EnvBinding& binding : server->env()) {
      if (binding.source_case() != v1::EnvBinding::kOauth) {
        GatherBinding(binding, answers);
      } else if (answers->count(binding.variable()) == 0) {
        absl::StatusOr<Answer> answer = connections.Find(binding, parent, teams);
        decoded = answer.status();
        if (!decoded.ok()) return false;
        answers->emplace(binding.variable(), *std::move(answer));
      }
    }
    return true;
  }));
  return decoded;
}

v1::CredentialSource SourceOf(const Answer& answer) {
  return answer.provider.empty() ? v1::CREDENTIAL_SOURCE_MANUAL : v1::CREDENTIAL_SOURCE_OAUTH;
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

absl::StatusOr<Answers> Gather(const storage::StoreView& view, const Caller& caller, absl::Time now) {
  Answers answers;
  const std::vector<ParentName> scopes = ScopesOf(caller);
  for (const ParentName& scope : scopes) RETURN_IF_ERROR(GatherCredentials(view, scope, &answers));
  const std::vector<ParentName> teams(scopes.begin() + 1, scopes.end() - 1);
  const Connections connections(view, caller, now);
  for (const ParentName& scope : scopes) {
    if (scope.kind != ParentName::kUser) RETURN_IF_ERROR(GatherBindings(view, scope, connections, teams, &answers));
  }
  return answers;
}

// All but the credential itself.
void SetAnswer(const std::string& org, const std::string& id, const Answer& answer, v1::MyCredential* mine) {
  mine->set_credential_id(id);
  mine->set_status(answer.status);
  mine->set_source(SourceOf(answer));
  mine->set_connection(answer.connection);
  if (!answer.provider.empty()) {
    mine->set_oauth_provider(ChildName{{ParentName::kOrg, org, ""}, answer.provider}.Name("oauthProviders"));
  }
}

}  // namespace

absl::StatusOr<v1::ListMyCredentialsResponse> CredentialRules::ListMyCredentials(
    const Caller& caller, const v1::ListMyCredentialsRequest& request) const {
  ASSIGN_OR_RETURN(const ParentName parent, ParseParent(request.parent(), "parent"));
  if (parent.kind != ParentName::kUser) {
    return InvalidField("parent", "not a user", "Use `orgs/{org}/users/{user}` with the calling user.");
  }
  ASSIGN_OR_RETURN(const CredentialQuery query, CredentialQuery::From(request));
  RETURN_IF_ERROR(Authorize(caller, Action::kSee, CredentialResource(parent, request.parent())));
  ASSIGN_OR_RETURN(const size_t size, EffectivePageSize(request.page_size()));
  ASSIGN_OR_RETURN(const std::string last,
                   pages_->Read(caller, "ListMyCredentials", query.PageScope(), request.page_token()));
  std::optional<ListPosition> after;
  if (!last.empty()) {
    ASSIGN_OR_RETURN(after, query.DecodePosition(last));
  }
  const std::unique_ptr<storage::StoreView> view = store_->View();
  const absl::StatusOr<Answers> answers = Gather(*view, caller, clock_());
  if (!answers.ok()) return FromStore(answers.status(), request.parent());
  std::vector<ListPosition> positions;
  for (const auto& [id, answer] : *answers) {
    if (!query.MatchesMine(id, answer.status, SourceOf(answer))) continue;
    LastUse use;
    if (query.NeedsUse() && !answer.record.id().empty()) {
      absl::StatusOr<LastUse> found = usage_->Find(*view, answer.parent.org, answer.record.parent(), id,
                                                   absl::FromUnixNanos(answer.record.create_time()));
      if (!found.ok()) return FromStore(found.status(), request.parent());
      use = *found;
    }
    ListPosition position = query.PositionOf(id, answer.record, use);
    if (!after.has_value() || query.Before(*after, position)) positions.push_back(std::move(position));
  }
  std::sort(positions.begin(), positions.end(),
            [&](const ListPosition& a, const ListPosition& b) { return query.Before(a, b); });

  v1::ListMyCredentialsResponse response;
  for (size_t i = 0; i < std::min(size, positions.size()); ++i) {
    const auto answer = answers->find(positions[i].name);
    v1::MyCredential* mine = response.add_my_credentials();
    SetAnswer(caller.org, answer->first, answer->second, mine);
    if (answer->second.record.id().empty()) continue;
    absl::StatusOr<v1::Credential> shown = Show(caller, answer->second.parent, answer->second.record, *view);
    if (!shown.ok()) return FromStore(shown.status(), request.parent());
    mine->mutable_credential()->Swap(&*shown);
  }
  if (positions.size() > size) {
    response.set_next_page_token(pages_->Make(caller, "ListMyCredentials", query.PageScope(),
                                              CredentialQuery::EncodePosition(positions[size - 1])));
  }
  return response;
}

}  // namespace keyferry::server
