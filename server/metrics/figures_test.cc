#include <string>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "metrics/process_figures.h"
#include "server/metrics/server_figures.h"

namespace keyferry::server {
namespace {

// The value of the one sample that is written so, -1 if there is none.
double ValueOf(const std::string& text, const std::string& sample) {
  const size_t at = absl::StrCat("\n", text).find(absl::StrCat("\n", sample, " "));
  double value = -1;
  if (at == std::string::npos) return value;
  const size_t from = at + sample.size() + 1;
  return absl::SimpleAtod(text.substr(from, text.find('\n', from) - from), &value) ? value : -1;
}

TEST(FiguresTest, EachFigureIsShownUnderItsOwnName) {
  ServerFigures figures;
  figures.store.engine.table_file_bytes = 11;
  figures.store.engine.log_file_bytes = 12;
  figures.store.engine.file_system_free_bytes = 13;
  figures.store.engine.failed = true;
  figures.store.commits = 14;
  figures.store.failed_commits = 15;
  figures.store.failed_opens = 16;
  figures.refresh.connections = 100;
  figures.refresh.failing = 20;
  figures.refresh.connect_needed = 30;
  figures.refresh.invalid_grant = 17;
  figures.refresh.longest_overdue = absl::Seconds(18);
  figures.audit_failures = 19;
  figures.audit_checks = {/*done=*/7, /*damaged=*/2, /*damaged_logs=*/1};
  figures.audit_checked = absl::FromUnixSeconds(1800000000);
  figures.refused_by_address = 21;
  figures.watchers = 22;
  figures.sessions = 23;
  metrics::Exposition out;
  WriteServerFigures(figures, &out);
  const std::string text = out.Take();
  for (const auto& [sample, value] : {std::pair<const char*, double>{"keyferry_store_bytes{kind=\"tables\"}", 11},
                                      {"keyferry_store_bytes{kind=\"log\"}", 12},
                                      {"keyferry_store_filesystem_free_bytes", 13},
                                      {"keyferry_store_failed", 1},
                                      {"keyferry_store_commits_total{outcome=\"committed\"}", 14},
                                      {"keyferry_store_commits_total{outcome=\"failed\"}", 15},
                                      {"keyferry_store_opens_total{outcome=\"failed\"}", 16},
                                      {"keyferry_oauth_connections{status=\"connected\"}", 50},
                                      {"keyferry_oauth_connections{status=\"failing\"}", 20},
                                      {"keyferry_oauth_connections{status=\"connect_needed\"}", 30},
                                      {"keyferry_oauth_refreshes_total{outcome=\"invalid_grant\"}", 17},
                                      {"keyferry_oauth_longest_overdue_seconds", 18},
                                      {"keyferry_audit_failures_total", 19},
                                      {"keyferry_audit_checks_total{result=\"intact\"}", 5},
                                      {"keyferry_audit_checks_total{result=\"damaged\"}", 2},
                                      {"keyferry_audit_damaged_logs", 1},
                                      {"keyferry_audit_checked_timestamp_seconds", 1800000000},
                                      {"keyferry_rate_limit_refusals_total{limit=\"address\"}", 21},
                                      {"keyferry_watchers", 22},
                                      {"keyferry_sessions", 23}}) {
    EXPECT_EQ(ValueOf(text, sample), value) << sample;
  }
}

TEST(FiguresTest, TheProcessIsDescribed) {
  metrics::Exposition out;
  metrics::WriteProcessFigures("1.2.3", &out);
  const std::string text = out.Take();
  EXPECT_EQ(ValueOf(text, "keyferry_build_info{version=\"1.2.3\"}"), 1);
  EXPECT_GE(ValueOf(text, "process_open_fds"), 3);
  EXPECT_GE(ValueOf(text, "process_threads"), 1);
  EXPECT_GT(ValueOf(text, "process_resident_memory_bytes"), 1 << 20);
  EXPECT_GE(ValueOf(text, "process_cpu_seconds_total"), 0);
  EXPECT_GT(ValueOf(text, "process_start_time_seconds"), 1.6e9);
}

}  // namespace
}  // namespace keyferry::server
