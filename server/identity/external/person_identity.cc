#include "server/identity/external/person_identity.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/config/people_config.h"
#include "server/identity/jwt/json_member.h"
#include "server/names.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

constexpr size_t kMaxSubjectBytes = 256;

absl::Status Refused(absl::string_view why) { return absl::PermissionDeniedError(why); }

template <typename List>
bool Holds(const List& list, absl::string_view text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

absl::Status CheckKind(const Jws& jws, const Document& claims) {
  const Document* const type = Member(jws.header, "typ");
  if (type != nullptr && !(type->is_string() && absl::EqualsIgnoreCase(type->text(), "JWT"))) {
    return Refused("it is no ID token (`typ`)");
  }
  for (const char* name : {"events", "kubernetes.io", "cnf"}) {
    if (Member(claims, name) != nullptr) return Refused(absl::StrCat("it is no ID token (`", name, "`)"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> AuthorizedParty(const VerifiedClaims& claims, const config::Issuer& issuer) {
  const Document* const party = Member(claims.all, "azp");
  if (party == nullptr) {
    if (claims.audiences > 1)
      return Refused("it is for several audiences, and says of none that it was given to it (`azp`)");
    return std::string();
  }
  if (!party->is_string() || !Holds(issuer.audience(), party->text())) {
    return Refused("it was given to another client (`azp`)");
  }
  return std::string(party->text());
}

// The text of a claim that is one; refused if it is missing or anything else.
absl::StatusOr<std::string> OneText(const Document& claims, absl::string_view name) {
  const absl::string_view text = MemberText(claims, name);
  if (text.empty()) return Refused(absl::StrCat("its `", name, "` is no text"));
  return std::string(text);
}

// The values of a claim, none if it is missing.
absl::StatusOr<std::vector<absl::string_view>> Values(const Document& claims, absl::string_view name) {
  std::vector<absl::string_view> values;
  const Document* const claim = Member(claims, name);
  if (claim == nullptr || claim->kind() == Document::Kind::kNull) return values;
  if (claim->is_string()) return std::vector<absl::string_view>{claim->text()};
  bool texts = claim->kind() == Document::Kind::kArray;
  for (const auto& [none, item] : claim->members()) {
    texts = texts && item.is_string();
    values.push_back(item.text());
  }
  if (!texts) return Refused(absl::StrCat("its `", name, "` is no text and no list of texts"));
  return values;
}

absl::StatusOr<std::string> OrgOf(const Document& claims, const config::Issuer& issuer) {
  const std::string& name = issuer.people().org_claim();
  if (name.empty()) return issuer.orgs(0);
  ASSIGN_OR_RETURN(std::string org, OneText(claims, name));
  if (!Holds(issuer.orgs(), org)) return Refused(absl::StrCat("its `", name, "` is no organization of the issuer's"));
  return org;
}

absl::StatusOr<std::string> UserOf(const Document& claims, const config::People& people) {
  const std::string& name = people.user_claim();
  ASSIGN_OR_RETURN(std::string user, OneText(claims, name));
  if (name == "email") {
    const Document* const verified = Member(claims, "email_verified");
    if (verified == nullptr || verified->kind() != Document::Kind::kBool || verified->text() != "true") {
      return Refused("its `email` is not verified (`email_verified`)");
    }
    absl::string_view local = user;
    if (!absl::ConsumeSuffix(&local, absl::StrCat("@", people.email_domain()))) {
      return Refused("its `email` is of another domain");
    }
    user = std::string(local);
  }
  if (!CheckId(user, name).ok()) {
    return Refused(absl::StrCat("its `", name, "` is no id of a user: `a` to `z`, `0` to `9`, `.`, `_` and `-`"));
  }
  return user;
}

absl::StatusOr<v1::OrgRole> RoleOf(const Document& claims, const config::People& people) {
  if (people.role_claim().empty()) return v1::ORG_ROLE_UNSPECIFIED;
  ASSIGN_OR_RETURN(const std::vector<absl::string_view> values, Values(claims, people.role_claim()));
  v1::OrgRole role = v1::ORG_ROLE_UNSPECIFIED;
  for (const config::RoleOfValue& one : people.roles()) {
    if (Holds(values, one.value())) role = std::max(role, OrgRoleOf(one.role()));
  }
  if (role == v1::ORG_ROLE_UNSPECIFIED) {
    return Refused(absl::StrCat("no value of its `", people.role_claim(), "` has a role in the organization"));
  }
  return role;
}

absl::StatusOr<std::vector<std::pair<std::string, v1::TeamRole>>> TeamsOf(const Document& claims,
                                                                          const config::People& people) {
  std::map<std::string, v1::TeamRole> teams;
  if (!people.teams_claim().empty()) {
    ASSIGN_OR_RETURN(const std::vector<absl::string_view> values, Values(claims, people.teams_claim()));
    for (const config::TeamOfValue& one : people.teams()) {
      v1::TeamRole& role = teams[one.team()];
      if (Holds(values, one.value())) role = std::max(role, TeamRoleOf(one.role()));
    }
  }
  return std::vector<std::pair<std::string, v1::TeamRole>>(teams.begin(), teams.end());
}

}  // namespace

absl::StatusOr<IdToken> ReadIdToken(const Jws& jws, const VerifiedClaims& claims, const config::Issuer& issuer,
                                    absl::Time now) {
  RETURN_IF_ERROR(CheckKind(jws, claims.all));
  IdToken token;
  ASSIGN_OR_RETURN(token.authorized_party, AuthorizedParty(claims, issuer));
  if (!claims.issue_time.has_value()) return Refused("`iat` is missing");
  const absl::Time oldest = *claims.issue_time + absl::Seconds(issuer.people().max_age_seconds());
  if (now >= oldest + kJwtLeeway) return Refused("it is too old (`iat`)");
  token.expire_time = std::min(claims.expire_time, oldest);
  if (!CheckText(claims.subject, kMaxSubjectBytes, "sub").ok()) return Refused("its `sub` has control characters");
  PersonClaims person;
  ASSIGN_OR_RETURN(person.org, OrgOf(claims.all, issuer));
  ASSIGN_OR_RETURN(person.user, UserOf(claims.all, issuer.people()));
  ASSIGN_OR_RETURN(person.role, RoleOf(claims.all, issuer.people()));
  ASSIGN_OR_RETURN(person.teams, TeamsOf(claims.all, issuer.people()));
  person.may_be_created = issuer.people().users() == "create";
  // Any other claim may be one that people change themselves.
  person.may_bind = !person.may_be_created && issuer.people().user_claim() == "sub";
  person.issue_time = *claims.issue_time;
  token.identity.issuer = issuer.name();
  token.identity.issuer_url = issuer.issuer();
  token.identity.subject = claims.subject;
  token.identity.person = std::make_shared<const PersonClaims>(std::move(person));
  return token;
}

}  // namespace keyferry::server
