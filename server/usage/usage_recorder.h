#ifndef KEYFERRY_SERVER_USAGE_USAGE_RECORDER_H_
#define KEYFERRY_SERVER_USAGE_USAGE_RECORDER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "keyferry/v1/processes.pb.h"
#include "storage/store.h"

namespace keyferry::server {

using Clock = std::function<absl::Time()>;
class Logger;

// One credential version that a resolution gives out. `parent` and `id` are those of its RecordKey.
struct UsedCredential {
  std::string parent;
  std::string id;
  int64_t version = 0;
  // The environment variable that carries it.
  std::string variable;
};

// One resolution: who got which versions, for which MCP server, acting for which user and team. Never a value.
struct ResolutionEvent {
  std::string org;
  // Resource names.
  std::string mcp_server;
  std::string principal;
  // Resource name of the user and id of the team whose credentials could answer; "" if none.
  std::string user;
  std::string team;
  std::vector<UsedCredential> credentials;
  // Resource name of the session, "" if none.
  std::string session;
  // The process that the values are for; without an id if the request described none.
  v1::ProcessInfo process;
};

struct LastUse {
  absl::Time time = absl::InfinitePast();
  // Resource name of the MCP server that it was last resolved for.
  std::string mcp_server;
  // Resolutions so far.
  int64_t count = 0;
};

// Records what resolutions give out and keeps each credential's last use. Thread-safe.
//
// Record appends one sealed event before the values leave the server. Events are folded into one usage record per
// credential in the background and deleted in the same batch, so that each counts once. Until then they are overlaid
// from memory. After kill -9 none is missing: those left over are folded by Start. After power loss those of the last
// `sync_interval` (and of the sync that was running) may be missing.
class UsageRecorder {
 public:
  struct Options {
    absl::Duration fold_interval = absl::Seconds(2);
    // Folds earlier once this many events wait.
    size_t fold_events = 4096;
    absl::Duration sync_interval = absl::Milliseconds(40);
    // Events and distinct credentials that may wait in memory.
    size_t max_pending_events = 65536;
    size_t max_pending_credentials = 262144;
    // False: nothing is folded or synced but by FoldNow and Start. For tests.
    bool background = true;
  };

  // Folds what an earlier process left over, then starts. `store` and `logger` must outlive the recorder.
  static absl::StatusOr<std::unique_ptr<UsageRecorder>> Start(storage::Store* store, Clock clock, Logger* logger,
                                                              Options options);
  // Folds what is pending, if the store still takes it, and stops.
  ~UsageRecorder();
  UsageRecorder(const UsageRecorder&) = delete;
  UsageRecorder& operator=(const UsageRecorder&) = delete;

  // Stores the event; it survives kill -9 from the return on. An error (the store's, or UNAVAILABLE while too many
  // events wait) means that it is not stored: give nothing out.
  absl::Status Record(const ResolutionEvent& event) ABSL_LOCKS_EXCLUDED(mutex_);

  // The last use of one credential since `created`, stored or pending; `count` 0 if none. `view` is read for the stored
  // part. Uses before `created` were those of a deleted credential of the same name.
  absl::StatusOr<LastUse> Find(const storage::StoreView& view, absl::string_view org, absl::string_view parent,
                               absl::string_view id, absl::Time created) const ABSL_LOCKS_EXCLUDED(mutex_);

  // Folds everything that was recorded before the call, durably. What the store refuses stays pending.
  absl::Status FoldNow() ABSL_LOCKS_EXCLUDED(mutex_, fold_mutex_);

 private:
  // By RecordKey parent and id, joined by a newline, which neither can hold.
  using Uses = absl::flat_hash_map<std::string, LastUse>;
  struct OrgPending {
    Uses uses;
    // Ids of the stored events.
    std::vector<std::string> events;
  };
  using Pending = absl::flat_hash_map<std::string, OrgPending>;

  UsageRecorder(storage::Store* store, Clock clock, Logger* logger, Options options);
  absl::Status Replay() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status ReplayOrg(const storage::StoreView& view, const std::string& org) ABSL_LOCKS_EXCLUDED(mutex_);
  void Add(const std::string& org, const std::vector<UsedCredential>& credentials, absl::string_view mcp_server,
           absl::Time time, std::string event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void MergeBack(const std::string& org, OrgPending pending) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status FoldOrg(const std::string& org, const OrgPending& pending);
  bool IsFull() const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  bool ShouldWake() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return stopping_ || dirty_ || pending_events_ > 0; }
  bool ShouldFold() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return stopping_ || pending_events_ >= options_.fold_events;
  }
  void RunBackground() ABSL_LOCKS_EXCLUDED(mutex_);

  storage::Store* const store_;
  const Clock clock_;
  Logger* const logger_;
  const Options options_;
  std::atomic<uint64_t> next_sequence_{0};

  // Held for one fold. Taken before mutex_.
  absl::Mutex fold_mutex_;
  mutable absl::Mutex mutex_;
  Pending pending_ ABSL_GUARDED_BY(mutex_);
  // What the running fold is writing; still overlaid.
  Pending folding_ ABSL_GUARDED_BY(mutex_);
  size_t pending_events_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t pending_credentials_ ABSL_GUARDED_BY(mutex_) = 0;
  // Whether buffered events may not have been synced.
  bool dirty_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread background_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_USAGE_USAGE_RECORDER_H_
