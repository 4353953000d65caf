#ifndef KEYFERRY_SERVER_IDENTITY_FIND_PERSON_H_
#define KEYFERRY_SERVER_IDENTITY_FIND_PERSON_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "server/identity/caller.h"
#include "server/identity/external_identity.h"
#include "storage/store.h"

namespace keyferry::server {

// What the directory must be made to say before a person may call.
struct EnrolmentPlan {
  // The user is to be made, or is to be this issuer's subject from now on.
  bool create = false;
  bool bind = false;
  // Their role; unspecified: it stays.
  v1::OrgRole role = v1::ORG_ROLE_UNSPECIFIED;
  // Their role in each of these teams; unspecified: they are taken out.
  std::vector<std::pair<std::string, v1::TeamRole>> teams;

  // That the claims of this token are the newest.
  bool note_claims = false;

  bool changes_roles() const { return role != v1::ORG_ROLE_UNSPECIFIED || !teams.empty(); }
  bool empty() const { return !create && !bind && !note_claims && !changes_roles(); }
};

// A person as one view holds them.
struct FoundPerson {
  // Why they may call as nobody, "" if they may; the rest is not filled then.
  std::string refusal;
  // As the directory has them now; of one who is to be made, org and id alone.
  Caller caller;
  EnrolmentPlan plan;
};

// The user that the person's token names. They are the user who is bound to that issuer (name and URL) and subject. One
// who is bound to none is bound by the first token that comes if PersonClaims::may_bind, otherwise by an ADMIN. Nobody
// is two users of an organization. Tokens from before their user was deleted or unbound call as nobody, and those from
// before the organization's floor (kEndedFloor) make or bind nobody.
//
// Claims of a token older than that whose claims the directory has count no more, and those of one as old only take
// away. Teams that are not there, or that the tier does not include, are entered by nobody. Errors are the store's own.
absl::StatusOr<FoundPerson> FindPerson(const storage::StoreView& view, const ExternalIdentity& identity);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_IDENTITY_FIND_PERSON_H_
