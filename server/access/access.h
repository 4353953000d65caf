#ifndef KEYFERRY_SERVER_ACCESS_ACCESS_H_
#define KEYFERRY_SERVER_ACCESS_ACCESS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/identity/caller.h"

namespace keyferry::server {

// What a method does to the kind of resource that it names.
enum class Action { kSee, kCreate, kUpdate, kDelete, kResolve };

// The rows of SPEC 1's table.
enum class ResourceKind {
  // The credentials of a scope and its connections to OAuth providers: who may paste a value may as well connect. A
  // refresh is kUpdate; starting a connection is both kCreate and kUpdate, since it may replace the grant of another.
  kOrgCredential,
  kTeamCredential,
  kUserCredential,
  kOauthProvider,
  // A connection that is being made: kSee for who started it alone.
  kConnectionAttempt,
  kOrgMcpServer,
  kTeamMcpServer,
  kOrg,
  kUser,
  kTeam,
  kTeamMember,
  kService,
  kWorkload,
  kToken,
  kSession,
  // The record of a process that runs with credentials: kUpdate confirms what it runs with, kDelete that it has ended.
  kProcess,
  kOwnIdentity,
  // An org's audit log: kSee lists what of it the caller may see, kUpdate stands for the chain as a whole (its head,
  // and checking it).
  kAuditLog,
  // An entry that concerns the resource's team or user.
  kAuditEntry,
  // An entry of a call of the caller's own.
  kOwnAuditEntry,
};

// The resource of one request, as far as the decision depends on it.
struct Resource {
  ResourceKind kind;
  std::string org;
  // Team that it belongs to, "" if none.
  std::string team;
  // User that it belongs to, "" if none.
  std::string user;
  // Full resource name, for messages.
  std::string name;
  // Resource name of the principal that made it, where that matters: kSession, kProcess and kConnectionAttempt
  // alone.
  std::string creator;
};

enum class Decision {
  kAllow,
  // The caller may see the resource but not do this: PERMISSION_DENIED.
  kDeny,
  // The caller may not know whether it exists: NOT_FOUND, worded as if it did not.
  kHide,
};

// The one decision function. Depends on nothing but its arguments; decides from the one policy table in policy.cc.
// Everything that the table does not allow is denied, and hidden where the caller may not see the resource either. For
// kCreate it is hidden only where the caller may see neither the resource nor the org, team or user to hold it.
//
// The tier does not enter: what a suspended scope refuses is the domain's to say (IsTeamSuspended, SCOPE_SUSPENDED).
Decision Decide(const Caller& caller, Action action, const Resource& resource);

// Decide as a status: OK, PERMISSION_DENIED or NOT_FOUND with an ErrorDetail. The NOT_FOUND is the very status that
// NotFound(resource.name) of server/errors.h makes, so that hidden and absent cannot be told apart. The next step of a
// PERMISSION_DENIED names who may, by the policy alone. Counts the decision in the caller's tally.
absl::Status Authorize(const Caller& caller, Action action, const Resource& resource);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_ACCESS_ACCESS_H_
