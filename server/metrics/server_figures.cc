#include "server/metrics/server_figures.h"

#include <utility>

#include "absl/time/time.h"

namespace keyferry::server {
namespace {

uint64_t Unsigned(int64_t count) { return count < 0 ? 0 : static_cast<uint64_t>(count); }

void WriteRefreshes(const RefreshStatus& refresh, metrics::Exposition* out) {
  out->Counter(
      "keyferry_oauth_refreshes_total",
      "Exchanges of OAuth tokens by outcome: refreshed; refused by the provider as invalid_grant, rejected, "
      "temporary or rate_limited; not_stored, since the store failed; dropped, since the connection was gone.");
  for (const auto& [outcome, count] : {std::pair("refreshed", refresh.refreshed),
                                       {"invalid_grant", refresh.invalid_grant},
                                       {"rejected", refresh.rejected},
                                       {"temporary", refresh.temporary},
                                       {"rate_limited", refresh.rate_limited},
                                       {"not_stored", refresh.not_stored},
                                       {"dropped", refresh.dropped}}) {
    out->Sample(Unsigned(count), {{"outcome", outcome}});
  }
  out->Gauge("keyferry_oauth_connections",
             "OAuth connections by status: connected, failing (the last refresh failed and is tried again), "
             "connect_needed (somebody must consent again).");
  out->Sample(Unsigned(refresh.connections - refresh.failing - refresh.connect_needed), {{"status", "connected"}});
  out->Sample(Unsigned(refresh.failing), {{"status", "failing"}});
  out->Sample(Unsigned(refresh.connect_needed), {{"status", "connect_needed"}});
  out->Gauge("keyferry_oauth_refreshes_pending",
             "Refreshes by state: due (waiting for their turn), in_flight (at the provider), waiting (for another "
             "server's).");
  out->Sample(Unsigned(refresh.due), {{"state", "due"}});
  out->Sample(Unsigned(refresh.in_flight), {{"state", "in_flight"}});
  out->Sample(Unsigned(refresh.waiting), {{"state", "waiting"}});
  out->Gauge("keyferry_oauth_longest_overdue_seconds",
             "How long ago the refresh became due that has waited longest for its turn.",
             absl::ToDoubleSeconds(refresh.longest_overdue));
}

void WriteAudit(const ServerFigures& figures, metrics::Exposition* out) {
  out->Counter("keyferry_audit_entries_total", "Audit entries that were written.", figures.audit_entries);
  out->Counter("keyferry_audit_failures_total", "Audit entries that could not be stored; their calls failed.",
               figures.audit_failures);
  out->Counter("keyferry_audit_checks_total", "Checks of audit logs by result.");
  out->Sample(figures.audit_checks.done - figures.audit_checks.damaged, {{"result", "intact"}});
  out->Sample(figures.audit_checks.damaged, {{"result", "damaged"}});
  out->Gauge("keyferry_audit_damaged_logs", "Audit logs whose last check found damage.");
  out->Sample(figures.audit_checks.damaged_logs);
  out->Gauge("keyferry_audit_checked_timestamp_seconds",
             "When the server had checked all audit logs last, since the epoch; 0 before the first time.",
             static_cast<double>(absl::ToUnixSeconds(figures.audit_checked)));
  out->Gauge("keyferry_audit_stream_failing", "1 while the audit stream cannot be written; it is tried again.",
             figures.audit_stream_failing ? 1 : 0);
}

}  // namespace

void WriteServerFigures(const ServerFigures& figures, metrics::Exposition* out) {
  WriteStoreFigures(figures.store, out);
  WriteRefreshes(figures.refresh, out);
  WriteAudit(figures, out);
  out->Counter("keyferry_rate_limit_refusals_total", "Calls that were refused by the rate that they exceeded.");
  out->Sample(figures.refused_by_identity, {{"limit", "identity"}});
  out->Sample(figures.refused_by_org, {{"limit", "org"}});
  out->Sample(figures.refused_by_address, {{"limit", "address"}});
  out->Gauge("keyferry_watchers", "Open watches.", static_cast<double>(figures.watchers));
  out->Gauge("keyferry_process_records", "Records of processes that run with credentials.",
             static_cast<double>(figures.processes));
  out->Gauge("keyferry_sessions", "Sessions that had not ended when they were last counted, about once a minute.",
             static_cast<double>(figures.sessions));
  out->Gauge("keyferry_changes_queued", "Changes that wait for a thread.", static_cast<double>(figures.changes_queued));
  out->Counter("keyferry_changes_refused_total", "Changes that found no place in the queue.", figures.changes_refused);
  out->Gauge("keyferry_draining", "1 while the server ends.", figures.draining ? 1 : 0);
}

}  // namespace keyferry::server
