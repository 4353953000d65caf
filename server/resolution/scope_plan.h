#ifndef KEYFERRY_SERVER_RESOLUTION_SCOPE_PLAN_H_
#define KEYFERRY_SERVER_RESOLUTION_SCOPE_PLAN_H_

#include <cstdint>
#include <string>

#include "absl/container/inlined_vector.h"
#include "absl/strings/string_view.h"
#include "server/names.h"

namespace keyferry::server {

// What a binding takes its value from; the kinds of keyferry.v1.EnvBinding.
enum class SourceKind { kStatic, kOrgSecret, kTeamSecret, kUserSecret, kOauth };

// One env binding, without its static value.
struct Binding {
  std::string variable;
  SourceKind source = SourceKind::kStatic;
  // Name of the credential, or id of the OAuth provider; "" for a static value.
  std::string credential;
  // "" for the value as it is.
  std::string value_template;
  bool required = true;
  bool pinned = false;
  // The variable changes how a process starts: it is given out only while the organization allows it.
  bool hijacking = false;
};

// Whose credentials may answer in one resolution.
struct Session {
  std::string org;
  // The user, "" if nobody's personal credentials may answer.
  std::string user;
  // `create_time` of the user's record: a later user of the same id is somebody else.
  int64_t user_create_time = 0;
  // The team, "" if there is none.
  std::string team;
  // The organization's tier does not include that team.
  bool team_suspended = false;
  // Resource name of the session that a workload acts in, "" if there is none.
  std::string name;
};

enum class StepState { kApplicable, kNoSuchScope, kSuspended, kPinnedElsewhere };

// One scope of a plan.
struct Step {
  ParentName::Kind scope;
  StepState state;
};
using Plan = absl::InlinedVector<Step, 3>;

// The scopes at which a binding's credential is looked for, in that order: personal, team, org, up to the widest that
// the source's kind names (SPEC 3); for an OAuth provider that is the org. Only the applicable ones are tried, which
// for a pinned binding is the widest alone: a pinned OAuth binding takes the organization's connection. Empty for a
// static value.
Plan MakePlan(const Binding& binding, const Session& session);

// The scope's parent in this session, e.g. the session's team. Meaningful for scopes that exist in it.
ParentName ParentIn(const Session& session, ParentName::Kind scope);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_RESOLUTION_SCOPE_PLAN_H_
