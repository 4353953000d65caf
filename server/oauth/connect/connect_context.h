#ifndef KEYFERRY_SERVER_OAUTH_CONNECT_CONNECT_CONTEXT_H_
#define KEYFERRY_SERVER_OAUTH_CONNECT_CONNECT_CONTEXT_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/audit/audit_log.h"
#include "server/oauth/connect/waits.h"
#include "server/oauth/connection_refresher.h"
#include "server/oauth/protocol/token_client.h"
#include "server/pagination.h"
#include "server/usage/usage_recorder.h"
#include "storage/store.h"

namespace keyferry::server {

// How long a token endpoint may take, and how long an answer is waited for.
constexpr absl::Duration kProviderTimeout = absl::Seconds(15);
constexpr absl::Duration kProviderWait = absl::Seconds(20);
// Calls that wait for providers, of all and of one organization.
constexpr int kMaxProviderWaits = 32;
constexpr int kMaxProviderWaitsPerOrg = 4;

// What the two sides of connecting, calls and browsers, share. The pointers outlive both.
struct ConnectContext {
  storage::Store* store = nullptr;
  std::function<absl::Time()> clock;
  const PageTokens* pages = nullptr;
  TokenClient* tokens = nullptr;
  ConnectionRefresher* refresher = nullptr;
  AuditLog* audit = nullptr;
  // Null: connections show no last use.
  UsageRecorder* usage = nullptr;
  NetworkWaits* waits = nullptr;
  // Scheme, host and port under which browsers reach the listener, e.g. "https://keyferry.example:8443"; "" if there
  // is none, and nobody can connect in a browser.
  std::string public_url;
};

// How often a change that lost a race is repeated.
constexpr int kMaxCommitAttempts = 50;

// Runs `attempt` until it does not lose a race: the store's ABORTED, which unlike one of ours has no detail. What the
// store answers is turned into what `resource`'s caller may see.
absl::Status CommitRepeatedly(const std::string& resource, const std::function<absl::Status()>& attempt);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_CONNECT_CONNECT_CONTEXT_H_
