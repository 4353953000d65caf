#ifndef KEYFERRY_SERVER_IDENTITY_EXTERNAL_BLOCKING_FETCH_H_
#define KEYFERRY_SERVER_IDENTITY_EXTERNAL_BLOCKING_FETCH_H_

#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/http/address_guard.h"

namespace keyferry::server {

// Asks for a document with a client of its own each time, so that CAs which were replaced count at once. For seldom
// requests from a thread that may wait.
class BlockingFetch {
 public:
  // The body of an answer with status 200, at most 256 KiB. `ca_file`: the only CAs that are trusted; "" for the
  // system's. `bearer_token_file`: "" for none. Otherwise the errors of HttpClient, UNAVAILABLE for another status, and
  // CANCELLED after Stop.
  absl::StatusOr<std::string> Get(const std::string& url, const std::string& ca_file,
                                  const std::string& bearer_token_file, const AddressGuard& guard)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Ends a Get that is under way, and all later ones. From any thread.
  void Stop() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  absl::Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

// What stands in the file, without white space around it. INVALID_ARGUMENT if that is no bearer token.
absl::StatusOr<std::string> ReadBearerToken(const std::string& path);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_IDENTITY_EXTERNAL_BLOCKING_FETCH_H_
