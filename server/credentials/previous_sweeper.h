#ifndef KEYFERRY_SERVER_CREDENTIALS_PREVIOUS_SWEEPER_H_
#define KEYFERRY_SERVER_CREDENTIALS_PREVIOUS_SWEEPER_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/records.h"
#include "storage/records/records.pb.h"
#include "storage/store.h"

namespace keyferry::server {

using Clock = std::function<absl::Time()>;
class Logger;

// Destroys the previous versions of credentials once their grace is over. What is due stands in the store, so that a
// restart forgets nothing. RunOnce is for one thread at a time.
//
// A version whose grace is over is not to be had from then on, swept or not; the sweep removes its bytes.
class PreviousSweeper {
 public:
  // `store` must outlive this.
  PreviousSweeper(storage::Store* store, Clock clock);

  // Destroys everything that is due and returns how many versions that were. Does nothing while nothing was rotated
  // since the last run and nothing became due. What another change touches at the same time is left for the next run.
  absl::StatusOr<int> RunOnce();

 private:
  struct Due {
    std::string parent;
    std::string id;
    storage::Revision revision = 0;
  };
  absl::StatusOr<int> SweepOrg(const storage::StoreView& view, const std::string& org, absl::Time now);
  absl::Status Destroy(const storage::StoreView& view, const std::string& org, const Due& due, absl::Time now);

  storage::Store* const store_;
  const Clock clock_;
  // Of kPreviousValue before the last run; nullopt before the first.
  std::optional<uint64_t> swept_generation_;
  absl::Time next_due_ = absl::InfinitePast();
};

// Runs a sweeper every `interval` on a thread of its own until destroyed.
class BackgroundSweeper {
 public:
  // `store` and `logger` must outlive this.
  BackgroundSweeper(storage::Store* store, Clock clock, Logger* logger, absl::Duration interval = absl::Seconds(10));
  ~BackgroundSweeper();
  BackgroundSweeper(const BackgroundSweeper&) = delete;
  BackgroundSweeper& operator=(const BackgroundSweeper&) = delete;

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mutex_);

  PreviousSweeper sweeper_;
  Logger* const logger_;
  const absl::Duration interval_;
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_CREDENTIALS_PREVIOUS_SWEEPER_H_
