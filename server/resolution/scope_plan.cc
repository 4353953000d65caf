#include "server/resolution/scope_plan.h"

namespace keyferry::server {
namespace {

constexpr ParentName::Kind kOrder[] = {ParentName::kUser, ParentName::kTeam, ParentName::kOrg};

int ScopeCount(SourceKind source) {
  switch (source) {
    case SourceKind::kStatic:
      return 0;
    case SourceKind::kUserSecret:
      return 1;
    case SourceKind::kTeamSecret:
      return 2;
    case SourceKind::kOrgSecret:
    case SourceKind::kOauth:
      break;
  }
  return 3;
}

StepState StateOf(const Session& session, ParentName::Kind scope) {
  if (scope == ParentName::kUser && session.user.empty()) return StepState::kNoSuchScope;
  if (scope == ParentName::kTeam) {
    if (session.team.empty()) return StepState::kNoSuchScope;
    if (session.team_suspended) return StepState::kSuspended;
  }
  return StepState::kApplicable;
}

}  // namespace

Plan MakePlan(const Binding& binding, const Session& session) {
  Plan plan;
  const int count = ScopeCount(binding.source);
  for (int i = 0; i < count; ++i) {
    const bool elsewhere = binding.pinned && i + 1 != count;
    plan.push_back({kOrder[i], elsewhere ? StepState::kPinnedElsewhere : StateOf(session, kOrder[i])});
  }
  return plan;
}

ParentName ParentIn(const Session& session, ParentName::Kind scope) {
  switch (scope) {
    case ParentName::kUser:
      return {scope, session.org, session.user};
    case ParentName::kTeam:
      return {scope, session.org, session.team};
    default:
      return {ParentName::kOrg, session.org, ""};
  }
}

}  // namespace keyferry::server
