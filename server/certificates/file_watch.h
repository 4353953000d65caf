#ifndef KEYFERRY_SERVER_CERTIFICATES_FILE_WATCH_H_
#define KEYFERRY_SERVER_CERTIFICATES_FILE_WATCH_H_

#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "metrics/exposition.h"
#include "server/log.h"

namespace keyferry::server {

// Has files read again when they change, or when it is told to; logs and counts how that went. Thread-safe.
//
// Files are looked at by name every few seconds, so that one which is replaced by rename, or reached over a symbolic
// link that moves (as Kubernetes mounts Secrets), counts as changed. What was changed is read once it has stood still
// for one interval: a certificate and its key are two files, which are not written at the same moment. What cannot be
// used is told once, and tried again when it changes again.
class FileWatch {
 public:
  using Reload = std::function<absl::Status()>;

  // Nothing runs by itself with an interval of 0. `logger` must outlive the watch.
  FileWatch(Logger* logger, absl::Duration interval);
  // No reload runs from the return on.
  ~FileWatch();
  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;

  // What `reload` reads is in these files. `what` is the program's own name for it, e.g. "grpc_certificate". One reload
  // runs at a time, and holds up neither Note nor WriteTo however long it takes; it must not call Look or ReloadAll.
  void Add(const std::string& what, std::vector<std::string> files, Reload reload) ABSL_LOCKS_EXCLUDED(mutex_);
  // Other files, from now on; those count as read.
  void SetFiles(absl::string_view what, std::vector<std::string> files) ABSL_LOCKS_EXCLUDED(mutex_);

  // One look at all files, as each interval brings.
  void Look() ABSL_LOCKS_EXCLUDED(run_mutex_, mutex_);
  // Reads everything now. The first error, after all was tried.
  absl::Status ReloadAll() ABSL_LOCKS_EXCLUDED(run_mutex_, mutex_);
  // Counts a reload of something that has no files here.
  void Note(const std::string& what, const absl::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);

  void WriteTo(metrics::Exposition* out) const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Watched {
    std::string what;
    std::vector<std::string> files;
    Reload reload;
    // What told the files apart when they were read, and at the last look.
    std::string read;
    std::string seen;
    uint64_t succeeded = 0;
    uint64_t failed = 0;
    bool broken = false;
  };

  Watched* Find(absl::string_view what) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Watched* FindOrAdd(absl::string_view what) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The names of what is to be read now.
  std::vector<std::string> Due() ABSL_LOCKS_EXCLUDED(mutex_);
  std::vector<std::string> All() const ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status Run(const std::string& what) ABSL_EXCLUSIVE_LOCKS_REQUIRED(run_mutex_) ABSL_LOCKS_EXCLUDED(mutex_);
  void RunThread() ABSL_LOCKS_EXCLUDED(mutex_);

  Logger* const logger_;
  const absl::Duration interval_;
  // Held while files are read again, without mutex_.
  absl::Mutex run_mutex_ ABSL_ACQUIRED_BEFORE(mutex_);
  mutable absl::Mutex mutex_;
  std::vector<Watched> watched_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_CERTIFICATES_FILE_WATCH_H_
