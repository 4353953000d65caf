#ifndef KEYFERRY_SERVER_AUDIT_AUDIT_STREAM_H_
#define KEYFERRY_SERVER_AUDIT_AUDIT_STREAM_H_

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/audit/audit_log.h"
#include "server/audit/line_sink.h"
#include "server/audit/stream_state.h"
#include "server/log.h"
#include "storage/store.h"

namespace keyferry::server {

// Writes every journal's entries as JSON lines (audit_line.h) to a file or to standard output, on a thread of its own.
// Thread-safe.
//
// The lines come from the stored journals, in order for each org. A sink that fails is tried again and never holds up a
// call; no line is lost meanwhile, since the cursor stays. A file goes on after a restart where it ended: each entry is
// in it once, but for a kill between the rotation of the file and the save that follows, after which the entries of
// about a second may come twice. Standard output begins with the entries after the start. Entries that retention
// prunes, or that go with a deleted org, before they were written are missing; the log says so of the former.
class AuditStream {
 public:
  struct Options {
    // A file's path, or "stdout".
    std::string target;
    absl::Duration retry_interval = absl::Seconds(1);
    absl::Duration save_interval = absl::Seconds(1);
    // False: only RunOnce writes. For tests.
    bool background = true;
  };

  // Starts as an observer of `audit`; call before the first entry. All pointers must outlive it. Errors if the file
  // cannot be opened, or is not one of lines that a stream wrote.
  static absl::StatusOr<std::unique_ptr<AuditStream>> Start(storage::Store* store, AuditLog* audit, Logger* logger,
                                                            const Options& options);
  // Writes what is there, if the sink takes it, and saves the state.
  ~AuditStream();
  AuditStream(const AuditStream&) = delete;
  AuditStream& operator=(const AuditStream&) = delete;

  // Opens the file again by its name, after a rotation, before anything more is written. Does nothing for standard
  // output.
  void Reopen() ABSL_LOCKS_EXCLUDED(mutex_);

  // Writes what is stored and not written yet. For one thread at a time.
  absl::Status RunOnce() ABSL_LOCKS_EXCLUDED(mutex_);

  // Whether the last try to write failed.
  bool failing() const { return failing_; }

 private:
  AuditStream(storage::Store* store, Logger* logger, const Options& options);
  absl::Status Open();
  absl::Status OpenAgain();
  // Cursors at the end of every journal, or, with `all`, every journal named as one that has entries to write.
  absl::Status FindJournals(bool all) ABSL_LOCKS_EXCLUDED(mutex_);
  void Observe(const AuditedCall& call) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status StreamOrg(const storage::StoreView& view, const std::string& org);
  absl::Status Save();
  void Run() ABSL_LOCKS_EXCLUDED(mutex_);
  bool HasWork() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return stopping_ || reopen_ || !waiting_.empty(); }
  void Warn(absl::string_view message, absl::string_view org, absl::string_view problem) const;

  storage::Store* const store_;
  Logger* const logger_;
  const Options options_;
  const std::string state_path_;

  // Of the thread that runs RunOnce.
  std::unique_ptr<LineSink> sink_;
  StreamState state_;
  bool unsaved_ = false;
  std::atomic<bool> failing_{false};

  absl::Mutex mutex_;
  // Orgs whose journal has grown, with the newest sequence announced.
  std::map<std::string, uint64_t> waiting_ ABSL_GUARDED_BY(mutex_);
  bool reopen_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_AUDIT_AUDIT_STREAM_H_
