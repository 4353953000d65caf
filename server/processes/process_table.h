#ifndef KEYFERRY_SERVER_PROCESSES_PROCESS_TABLE_H_
#define KEYFERRY_SERVER_PROCESSES_PROCESS_TABLE_H_

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "keyferry/v1/processes.pb.h"
#include "server/usage/usage_recorder.h"

namespace keyferry::server {

// One process that is known to hold credentials.
struct LiveProcess {
  // Complete but for `lease_expire_time` and `watching`.
  std::shared_ptr<const v1::Process> process;
  absl::Time lease_expire_time;
  bool watching = false;
  // When what it holds was given out, which may be long before it said that it runs with it.
  absl::Time given_time;
};

// Which process holds which version, as far as resolutions told: in memory, bounded, each record until its lease ends.
// Thread-safe.
//
// A record belongs to the principal and the MCP server that it was made for: both are in its name, so that nobody else
// can change, hide or take it, whatever process id they send. Where there is no room, the record of the same principal
// that expires first makes it; where the whole organization has none, one of the principal with most records. Records
// of processes that watch are never given up for others.
//
// A process that confirms holds what it confirmed last, at first nothing; what it was sent waits until then, at most
// the newest kMaxSent environments.
class ProcessTable {
 public:
  struct Limits {
    size_t per_principal = 10'000;
    size_t per_org = 20'000;
    size_t total = 100'000;
  };
  static constexpr size_t kMaxSent = 16;
  // For whoever says a second time that a process has ended.
  static constexpr absl::Duration kRemembered = absl::Minutes(1);
  ProcessTable();
  explicit ProcessTable(Limits limits);
  ~ProcessTable();

  // Takes in one resolution or confirmation, made at `now`: what the process held before is replaced, unless the event
  // is kOnceConfirmed. Answers the record's resource name, "" if the event describes no process or there is no room.
  // Also for events of the past, in their order: a record whose lease has run out by then is gone at the next look.
  std::string Observe(const ResolutionEvent& event, absl::Time now) ABSL_LOCKS_EXCLUDED(mutex_);

  // The principal that the record belongs to; "" if there is no such record.
  std::string PrincipalOf(const std::string& name, absl::Time now) ABSL_LOCKS_EXCLUDED(mutex_);
  // What the process was sent as `revision`, unless it has confirmed something newer since: the event to observe when
  // it confirms that, with the process id that is shown now.
  std::optional<ResolutionEvent> SentTo(const std::string& name, int64_t revision) ABSL_LOCKS_EXCLUDED(mutex_);

  // The process has ended: it holds nothing and is in no list, until an event tells that it holds something. The record
  // itself stays for kRemembered, or while it is watched and that long after. Answers what was known of the process;
  // none if there is no record, or it had ended before.
  std::optional<v1::ProcessInfo> End(const std::string& name, absl::Time now) ABSL_LOCKS_EXCLUDED(mutex_);

  // A watch of the process begins or ends. While there is one the record stays; afterwards its lease starts anew. Each
  // beginning that answers true (the record is there) needs its end.
  bool WatchBegins(const std::string& name) ABSL_LOCKS_EXCLUDED(mutex_);
  void WatchEnds(const std::string& name, absl::Time now) ABSL_LOCKS_EXCLUDED(mutex_);

  // In order of name: the org's live processes, of the MCP server unless that is empty.
  std::vector<LiveProcess> List(absl::string_view org, absl::string_view mcp_server, absl::Time now)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // In no order: those that hold the credential or a token of the connection, by resource name.
  std::vector<LiveProcess> Holders(absl::string_view org, const std::string& credential, absl::Time now)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Records, those whose lease has run out unnoticed and those of ended processes included.
  size_t size() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Entry;
  // By when they expire. Those that are watched are in none.
  using Queue = absl::btree_set<std::pair<absl::Time, Entry*>>;
  struct Principal {
    size_t count = 0;
    Queue queue;
  };
  struct Org {
    std::map<std::string, std::unique_ptr<Entry>> entries;
    std::map<std::string, Principal> principals;
    // By the resource name of the credential or connection.
    absl::flat_hash_map<std::string, absl::flat_hash_set<Entry*>> holders;
  };

  void Prune(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool MakeRoom(Org* org, Principal* principal) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Null if there is no room.
  Entry* Add(const std::string& name, const ResolutionEvent& event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Hold(Entry* entry, const ResolutionEvent& event, absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Anew, as long as the record lives without a watch.
  void StartLease(Entry* entry, absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Remove(Entry* entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SetHolds(Entry* entry, bool holds) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Enqueue(Entry* entry, absl::Time expire) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Dequeue(Entry* entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Entry* Find(const std::string& name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Limits limits_;
  mutable absl::Mutex mutex_;
  size_t total_ ABSL_GUARDED_BY(mutex_) = 0;
  Queue queue_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Org, std::less<>> orgs_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_PROCESSES_PROCESS_TABLE_H_
