#ifndef KEYFERRY_SERVER_SESSIONS_SESSION_QUOTA_H_
#define KEYFERRY_SERVER_SESSIONS_SESSION_QUOTA_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "storage/store.h"

namespace keyferry::server {

// How many sessions may be live at a time.
struct SessionLimits {
  size_t per_org = 10000;
  size_t per_user = 1000;
};

// Keeps the sessions of each org and user from passing their limits, without reading them all at every create.
// Thread-safe.
//
// An org's sessions are read when it is first asked about, and again before a refusal if any were written or deleted
// since, so that those which ended with their user do not count for long. What has expired never counts.
class SessionQuota {
 public:
  // `store` must outlive this.
  explicit SessionQuota(storage::Store* store, SessionLimits limits = SessionLimits());

  // Takes a place for a session that is about to be stored. `user` is a resource name, times are Unix nanoseconds.
  // RESOURCE_EXHAUSTED, reason TOO_MANY, if all are taken. Otherwise what the store answers.
  absl::Status Take(const std::string& org, const std::string& session, const std::string& user, int64_t expire_time,
                    int64_t now) ABSL_LOCKS_EXCLUDED(mutex_);
  // The session is stored.
  void Keep(const std::string& org, const std::string& session) ABSL_LOCKS_EXCLUDED(mutex_);
  // It was not stored, or is deleted.
  void GiveBack(const std::string& org, const std::string& session) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Entry {
    std::string user;
    int64_t expire_time = 0;
    // Taken and not stored yet, so that a scan may not find it.
    bool pending = false;
  };
  struct Org {
    absl::Mutex mutex;
    bool loaded ABSL_GUARDED_BY(mutex) = false;
    uint64_t generation ABSL_GUARDED_BY(mutex) = 0;
    absl::flat_hash_map<std::string, Entry> sessions ABSL_GUARDED_BY(mutex);
    absl::flat_hash_map<std::string, size_t> by_user ABSL_GUARDED_BY(mutex);
    // Expiry and id.
    absl::btree_set<std::pair<int64_t, std::string>> by_expiry ABSL_GUARDED_BY(mutex);

    void Add(const std::string& session, Entry entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
    void Remove(const std::string& session) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  };

  std::shared_ptr<Org> OrgOf(const std::string& org) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status Load(const std::string& name, Org& org, int64_t now) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(org.mutex);
  // "" if there is room, or the resource whose limit is reached.
  std::string FullResource(const std::string& name, const std::string& user, Org& org) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(org.mutex);

  storage::Store* const store_;
  const SessionLimits limits_;
  absl::Mutex mutex_;
  absl::flat_hash_map<std::string, std::shared_ptr<Org>> orgs_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_SESSIONS_SESSION_QUOTA_H_
