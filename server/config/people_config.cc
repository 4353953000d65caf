#include "server/config/people_config.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "server/http/url.h"
#include "server/names.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

constexpr int kMaxOrgs = 256;
constexpr int kMaxAudiences = 16;
constexpr int kMaxValues = 256;
constexpr size_t kMaxTextBytes = 256;
constexpr uint32_t kDay = 24 * 60 * 60;
constexpr uint32_t kMaxAgeSeconds = 7 * kDay;

absl::Status Wrong(absl::string_view key, absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat("`", key, "` ", problem));
}

absl::Status CheckTextOf(const std::string& key, const std::string& text) {
  if (!text.empty() && CheckText(text, kMaxTextBytes, key).ok()) return absl::OkStatus();
  return Wrong(key, "must be a text of 1 to 256 bytes");
}

absl::Status CheckOrgsOf(const std::string& key, const config::Issuer& issuer) {
  const std::string orgs = absl::StrCat(key, ".orgs");
  if (issuer.orgs().empty()) return Wrong(orgs, "is not set; name the organizations that its people belong to");
  if (issuer.orgs_size() > kMaxOrgs) return Wrong(orgs, "names more than 256 organizations");
  for (const std::string& org : issuer.orgs()) {
    if (!CheckId(org, orgs).ok()) return Wrong(orgs, "must name organizations, by their ids and nothing else");
  }
  if (issuer.people().org_claim().empty() && issuer.orgs_size() != 1) {
    return Wrong(absl::StrCat(key, ".people.org_claim"), "is not set, and `orgs` names more than one organization");
  }
  return absl::OkStatus();
}

absl::Status CheckAudiences(const std::string& key, const config::Issuer& issuer) {
  if (issuer.audience().empty()) {
    return Wrong(key, "is not set; name the client ids whose ID tokens are taken");
  }
  if (issuer.audience_size() > kMaxAudiences) return Wrong(key, "names more than 16 client ids");
  for (const std::string& audience : issuer.audience()) RETURN_IF_ERROR(CheckTextOf(key, audience));
  return absl::OkStatus();
}

bool IsDomain(absl::string_view text) {
  return !text.empty() && text.size() <= 253 && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_islower(static_cast<unsigned char>(c)) || absl::ascii_isdigit(static_cast<unsigned char>(c)) ||
           c == '.' || c == '-';
  });
}

absl::Status CompleteUsers(const std::string& key, config::People* people) {
  if (people->user_claim().empty()) people->set_user_claim("sub");
  for (const auto& [name, claim] :
       {std::make_pair(".user_claim", &people->user_claim()), std::make_pair(".org_claim", &people->org_claim()),
        std::make_pair(".role_claim", &people->role_claim()), std::make_pair(".teams_claim", &people->teams_claim())}) {
    if (!claim->empty()) RETURN_IF_ERROR(CheckTextOf(absl::StrCat(key, name), *claim));
  }
  const std::string domain = absl::StrCat(key, ".email_domain");
  if (people->user_claim() == "email" && !IsDomain(people->email_domain())) {
    return Wrong(domain, "must be the domain that is left out of the address, e.g. example.com, in lower case");
  }
  if (people->user_claim() != "email" && !people->email_domain().empty()) {
    return Wrong(domain, "goes with `user_claim: email`");
  }
  if (people->users().empty()) people->set_users("existing");
  if (people->users() != "existing" && people->users() != "create") {
    return Wrong(absl::StrCat(key, ".users"), "must be existing or create");
  }
  if (!people->has_max_age_seconds()) people->set_max_age_seconds(kDay);
  if (people->max_age_seconds() == 0 || people->max_age_seconds() > kMaxAgeSeconds) {
    return Wrong(absl::StrCat(key, ".max_age_seconds"), "must be 1 to 604800");
  }
  return absl::OkStatus();
}

absl::Status CheckRoles(const std::string& key, const config::People& people) {
  const std::string list = absl::StrCat(key, ".roles");
  if (people.role_claim().empty() != people.roles().empty()) return Wrong(list, "goes with `role_claim`: set both");
  if (people.roles_size() > kMaxValues) return Wrong(list, "holds more than 256 values");
  std::set<std::string> values;
  for (int i = 0; i < people.roles_size(); ++i) {
    const std::string item = absl::StrCat(list, "[", i, "]");
    RETURN_IF_ERROR(CheckTextOf(absl::StrCat(item, ".value"), people.roles(i).value()));
    if (OrgRoleOf(people.roles(i).role()) == v1::ORG_ROLE_UNSPECIFIED) {
      return Wrong(absl::StrCat(item, ".role"), "must be admin or member");
    }
    if (!values.insert(people.roles(i).value()).second) return Wrong(item, "has the value of another one");
  }
  return absl::OkStatus();
}

absl::Status CheckTeams(const std::string& key, const config::People& people) {
  const std::string list = absl::StrCat(key, ".teams");
  if (people.teams_claim().empty() != people.teams().empty()) return Wrong(list, "goes with `teams_claim`: set both");
  if (people.teams_size() > kMaxValues) return Wrong(list, "holds more than 256 values");
  std::set<std::pair<std::string, std::string>> pairs;
  for (int i = 0; i < people.teams_size(); ++i) {
    const config::TeamOfValue& one = people.teams(i);
    const std::string item = absl::StrCat(list, "[", i, "]");
    RETURN_IF_ERROR(CheckTextOf(absl::StrCat(item, ".value"), one.value()));
    if (!CheckId(one.team(), item).ok()) return Wrong(absl::StrCat(item, ".team"), "must be the id of a team");
    if (TeamRoleOf(one.role()) == v1::TEAM_ROLE_UNSPECIFIED) {
      return Wrong(absl::StrCat(item, ".role"), "must be owner, admin or member");
    }
    if (!pairs.emplace(one.value(), one.team()).second) return Wrong(item, "has value and team of another one");
  }
  return absl::OkStatus();
}

}  // namespace

v1::OrgRole OrgRoleOf(absl::string_view text) {
  if (text == "admin") return v1::ORG_ROLE_ADMIN;
  return text == "member" ? v1::ORG_ROLE_MEMBER : v1::ORG_ROLE_UNSPECIFIED;
}

v1::TeamRole TeamRoleOf(absl::string_view text) {
  if (text == "owner") return v1::TEAM_ROLE_OWNER;
  if (text == "admin") return v1::TEAM_ROLE_ADMIN;
  return text == "member" ? v1::TEAM_ROLE_MEMBER : v1::TEAM_ROLE_UNSPECIFIED;
}

absl::Status CompletePeople(const std::string& key, config::Issuer* issuer) {
  if (!ParseHttpsUrl(issuer->issuer()).ok()) {
    return Wrong(absl::StrCat(key, ".issuer"), "must be an https URL (OpenID Connect Core 1.0, section 2)");
  }
  if (issuer->has_token_review()) return Wrong(absl::StrCat(key, ".token_review"), "goes with `kind: kubernetes`");
  RETURN_IF_ERROR(CheckAudiences(absl::StrCat(key, ".audience"), *issuer));
  RETURN_IF_ERROR(CheckOrgsOf(key, *issuer));
  const std::string people = absl::StrCat(key, ".people");
  RETURN_IF_ERROR(CompleteUsers(people, issuer->mutable_people()));
  RETURN_IF_ERROR(CheckRoles(people, issuer->people()));
  return CheckTeams(people, issuer->people());
}

}  // namespace keyferry::server
