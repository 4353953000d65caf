#ifndef KEYFERRY_SERVER_DIRECTORY_ENROLMENT_H_
#define KEYFERRY_SERVER_DIRECTORY_ENROLMENT_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/audit/call_record.h"
#include "server/directory/common.h"
#include "server/identity/find_person.h"
#include "server/identity/people_enrolment.h"
#include "server/log.h"

namespace keyferry::server {

// The PeopleEnrolment of the directory. Each change is one commit with one audit entry, `keyferryd/EnrollUser` for a
// user who is made or bound to their issuer's subject, otherwise `keyferryd/SetRoles`; that the claims of a token are
// the newest is noted without one. It happens later than the token was verified: what was configured otherwise or has
// expired meanwhile changes nothing.
//
// It fails as the rules for users do: TOO_MANY for a full organization, and LAST_ADMIN rather than leave one without an
// ADMIN. Such a failure is logged, has an entry in the organization's audit log, and is remembered for kFailureTime, so
// that calls which come again and again are not each a try.
class Enrolment : public PeopleEnrolment {
 public:
  static constexpr absl::Duration kFailureTime = absl::Seconds(5);
  static constexpr size_t kMaxFailures = 1024;

  // Runs work of the organization on a thread that may wait; false: there is no place.
  using Run = std::function<bool(const std::string& org, std::function<void()> work)>;

  // Where failures are told.
  struct Telling {
    Logger* logger = nullptr;
    // Stores an audit entry.
    std::function<void(const CallRecord& record)> store = nullptr;
  };

  // What is started must have ended before this is destroyed.
  Enrolment(DirectoryContext context, Run run, Telling telling)
      : context_(std::move(context)), run_(std::move(run)), telling_(std::move(telling)) {}

  absl::Status Failure(const ExternalIdentity& identity) override ABSL_LOCKS_EXCLUDED(mutex_);
  std::shared_ptr<OneShot> Begin(VerifiedPerson person) override ABSL_LOCKS_EXCLUDED(mutex_);

  // The change itself; OK if there is nothing to change.
  absl::Status Enrol(const VerifiedPerson& verified);

 private:
  struct Failed {
    absl::Status status;
    absl::Time time;
  };

  // What the user's own records become; errors are the store's own, or StageBinding's.
  absl::Status StageUser(const storage::StoreView& view, const ExternalIdentity& identity, const FoundPerson& person,
                         storage::Mutation* mutation);
  absl::Status Commit(const storage::StoreView& view, const VerifiedPerson& verified, const FoundPerson& person);
  void Tell(const VerifiedPerson& verified, const absl::Status& failure) const;
  void End(const std::string& key, const absl::Status& outcome) ABSL_LOCKS_EXCLUDED(mutex_);

  const DirectoryContext context_;
  const Run run_;
  const Telling telling_;
  absl::Mutex mutex_;
  // By who it is and what their token says.
  absl::flat_hash_map<std::string, std::shared_ptr<OneShot>> running_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, Failed> failures_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_DIRECTORY_ENROLMENT_H_
