#ifndef KEYFERRY_SERVER_METRICS_SERVER_FIGURES_H_
#define KEYFERRY_SERVER_METRICS_SERVER_FIGURES_H_

#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"
#include "metrics/exposition.h"
#include "server/audit/audit_rules.h"
#include "server/oauth/refresh/refresh_context.h"
#include "storage/store.h"

namespace keyferry::server {

// What the parts of a server count, taken when somebody looks. Numbers of the whole server: none of them says anything
// of one organization.
struct ServerFigures {
  storage::StoreStatistics store;
  RefreshStatus refresh;

  uint64_t audit_entries = 0;
  uint64_t audit_failures = 0;
  AuditRules::Checks audit_checks;
  // When all logs had been checked last; UnixEpoch if they have not been.
  absl::Time audit_checked = absl::UnixEpoch();
  bool audit_stream_failing = false;

  uint64_t refused_by_identity = 0;
  uint64_t refused_by_org = 0;
  uint64_t refused_by_address = 0;

  size_t watchers = 0;
  size_t processes = 0;
  int64_t sessions = 0;
  size_t changes_queued = 0;
  uint64_t changes_refused = 0;
  bool draining = false;
};

void WriteServerFigures(const ServerFigures& figures, metrics::Exposition* out);

// Those of the store alone (store_figures.cc).
void WriteStoreFigures(const storage::StoreStatistics& store, metrics::Exposition* out);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_METRICS_SERVER_FIGURES_H_
