#include "server/mcpservers/missing_for.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "server/access/access.h"
#include "server/records.h"
#include "server/resolution/connection_state.h"
#include "server/status_macros.h"
#include "storage/records/records.pb.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Table;

constexpr size_t kMaxReported = 100;
constexpr size_t kMaxLookedAt = 10000;

// A credential or connection that a required binding names.
struct Need {
  // Of the credential, or of the provider.
  std::string id;
  // The widest scope that may answer.
  ParentName::Kind widest;
  // Only that scope may answer.
  bool pinned;
  bool connection = false;

  std::string ListedAs() const { return connection ? MissingConnectionName(id) : id; }
  bool Takes(ParentName::Kind scope) const { return pinned ? scope == widest : true; }
};

std::vector<Need> NeedsOf(const v1::McpServer& definition) {
  std::vector<Need> needs;
  for (const v1::EnvBinding& binding : definition.env()) {
    if (binding.optional()) continue;
    if (binding.source_case() == v1::EnvBinding::kOrgSecret) {
      needs.push_back({binding.org_secret(), ParentName::kOrg, binding.not_overridable()});
    } else if (binding.source_case() == v1::EnvBinding::kTeamSecret) {
      needs.push_back({binding.team_secret(), ParentName::kTeam, binding.not_overridable()});
    } else if (binding.source_case() == v1::EnvBinding::kUserSecret) {
      needs.push_back({binding.user_secret(), ParentName::kUser, binding.not_overridable()});
    } else if (binding.source_case() == v1::EnvBinding::kOauth) {
      needs.push_back({binding.oauth(), ParentName::kOrg, binding.not_overridable(), /*connection=*/true});
    }
  }
  return needs;
}

class Search {
 public:
  Search(const storage::StoreView& view, const Caller& caller, const ChildName& server, absl::Time now)
      : view_(view), caller_(caller), server_(server), now_(now) {}

  absl::StatusOr<std::vector<v1::MissingFor>> Run(const v1::McpServer& definition) {
    for (Need& need : NeedsOf(definition)) {
      // What the organization has answers for everybody.
      bool answered = false;
      if (need.widest == ParentName::kOrg) {
        ASSIGN_OR_RETURN(answered, Has({ParentName::kOrg, server_.parent.org, ""}, need));
      }
      if (!answered) open_.push_back(std::move(need));
    }
    const bool others =
        std::any_of(open_.begin(), open_.end(), [](const Need& need) { return need.widest != ParentName::kUser; });
    ASSIGN_OR_RETURN(const std::vector<std::string> users, Users(others));
    std::map<std::string, std::set<std::string>> missing;
    for (const std::string& user : users) {
      if (missing.size() >= kMaxReported) break;
      ASSIGN_OR_RETURN(std::set<std::string> ids, MissingFor(user));
      if (!ids.empty()) missing[user] = std::move(ids);
    }
    std::vector<v1::MissingFor> result;
    for (const auto& [user, ids] : missing) {
      result.emplace_back().set_user(absl::StrCat("orgs/", server_.parent.org, "/users/", user));
      for (const std::string& id : ids) result.back().add_credentials(id);
    }
    return result;
  }

 private:
  bool IsCaller(const std::string& user) const {
    return caller_.kind == PrincipalKind::kUser && caller_.org == server_.parent.org && caller_.id == user;
  }

  bool MaySee(const std::string& user) const {
    const Resource resource = server_.parent.kind == ParentName::kTeam
                                  ? Resource{ResourceKind::kTeamMember, server_.parent.org, server_.parent.id, "", ""}
                                  : Resource{ResourceKind::kUser, server_.parent.org, "", user, ""};
    return Decide(caller_, Action::kSee, resource) == Decision::kAllow;
  }

  // Those who may launch the MCP server and whom the caller may see, the caller first; without `others` nobody else.
  absl::StatusOr<std::vector<std::string>> Users(bool others) const {
    std::vector<std::string> users;
    if (open_.empty()) return users;
    const bool of_team = server_.parent.kind == ParentName::kTeam;
    absl::Status decoded;
    const auto visit = [&](storage::Record stored) {
      std::string user;
      if (of_team) {
        records::TeamMemberRecord record;
        decoded = storage::ParseSecretInto(stored.payload, record);
        user = record.user();
      } else {
        records::UserRecord record;
        decoded = storage::ParseSecretInto(stored.payload, record);
        user = record.id();
      }
      if (!decoded.ok()) return false;
      if (IsCaller(user) || (others && MaySee(user))) users.push_back(std::move(user));
      return users.size() < kMaxLookedAt;
    };
    RETURN_IF_ERROR(of_team ? view_.Scan(Table::kTeamMember, server_.parent.org, server_.parent.RecordParent(), visit)
                            : view_.Scan(Table::kUser, server_.parent.org, /*parent=*/"", visit));
    RETURN_IF_ERROR(decoded);
    std::sort(users.begin(), users.end());
    std::stable_partition(users.begin(), users.end(), [this](const std::string& user) { return IsCaller(user); });
    return users;
  }

  // The teams that may answer for the user, those of the tier alone.
  absl::StatusOr<std::vector<ParentName>> TeamsOf(const std::string& user) const {
    if (server_.parent.kind == ParentName::kTeam) return std::vector<ParentName>{server_.parent};
    ASSIGN_OR_RETURN(const auto memberships,
                     ScanRecords<records::MembershipRecord>(view_, Table::kMembership, server_.parent.org,
                                                            absl::StrCat("users/", user)));
    std::vector<ParentName> teams;
    for (const auto& one : memberships) {
      if (!IsTeamSuspended(caller_.tier, one.record.team())) {
        teams.push_back({ParentName::kTeam, server_.parent.org, one.record.team()});
      }
    }
    return teams;
  }

  absl::StatusOr<std::set<std::string>> MissingFor(const std::string& user) {
    std::set<std::string> missing;
    ASSIGN_OR_RETURN(const std::vector<ParentName> teams, TeamsOf(user));
    for (const Need& need : open_) {
      const bool personal = need.widest == ParentName::kUser;
      if (personal && !IsCaller(user)) continue;
      bool answered = false;
      if (!personal && need.Takes(ParentName::kTeam)) {
        for (size_t i = 0; i < teams.size() && !answered; ++i) {
          ASSIGN_OR_RETURN(answered, Has(teams[i], need));
        }
      }
      if (!answered && IsCaller(user) && need.Takes(ParentName::kUser)) {
        ASSIGN_OR_RETURN(answered, Has({ParentName::kUser, server_.parent.org, user}, need));
      }
      if (!answered) missing.insert(need.ListedAs());
    }
    return missing;
  }

  absl::StatusOr<bool> Has(const ParentName& parent, const Need& need) {
    const storage::RecordKey key = {Table::kCredential, parent.org, parent.RecordParent(), need.id};
    const auto known = known_.find({key.parent, need.ListedAs()});
    if (known != known_.end()) return known->second;
    bool has = false;
    if (need.connection) {
      ASSIGN_OR_RETURN(has, HasConnection(parent, need.id));
    } else {
      ASSIGN_OR_RETURN(has, view_.Contains(key));
    }
    known_[{key.parent, need.ListedAs()}] = has;
    return has;
  }

  absl::StatusOr<bool> HasConnection(const ParentName& parent, const std::string& provider) const {
    absl::StatusOr<FoundConnection> found =
        parent.kind == ParentName::kUser ? FindConnectionOfUser(view_, parent, caller_.user_create_time, provider, now_)
                                         : FindConnection(view_, parent, provider, now_);
    RETURN_IF_ERROR(found.status());
    return found->state == GrantState::kValid || found->state == GrantState::kEnded;
  }

  const storage::StoreView& view_;
  const Caller& caller_;
  const ChildName& server_;
  const absl::Time now_;
  // What the organization does not answer for everybody.
  std::vector<Need> open_;
  // By parent and what it is listed as.
  absl::flat_hash_map<std::pair<std::string, std::string>, bool> known_;
};

}  // namespace

std::string MissingConnectionName(absl::string_view provider) { return absl::StrCat("oauthProviders/", provider); }

absl::StatusOr<std::vector<v1::MissingFor>> MissingForUsers(const storage::StoreView& view, const Caller& caller,
                                                            const ChildName& server, const v1::McpServer& definition,
                                                            absl::Time now) {
  return Search(view, caller, server, now).Run(definition);
}

}  // namespace keyferry::server
