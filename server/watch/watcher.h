#ifndef KEYFERRY_SERVER_WATCH_WATCHER_H_
#define KEYFERRY_SERVER_WATCH_WATCHER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "server/watch/watch_hub.h"

namespace keyferry::server {

// One open watch. Members up to the empty line never change. Those after it belong to the hub's lock, except while the
// state is kRunning: `sent`, `resume`, `process` and `asked` then belong to the thread that runs it.
struct WatchHub::Watcher {
  enum State {
    // Nothing to do but heartbeats.
    kIdle,
    // For the end of the debounce.
    kWaiting,
    // In the queue.
    kQueued,
    // On one thread.
    kRunning,
    // A message is in flight.
    kWriting,
  };
  WatchId id = 0;
  std::string org;
  std::string principal;
  std::string token_hash;
  // The caller brought the word of a platform.
  bool external = false;
  // Of a user: a later one of the same id is somebody else.
  int64_t user_create_time = 0;
  std::string peer;
  absl::Duration debounce;
  // What is sent waits for a confirmation until it counts as held.
  bool confirms = false;
  storage::Wiped<v1::ResolveRequest> request;
  WatchSink* sink = nullptr;

  State state = kQueued;
  // Something has changed since this time that was not resolved yet.
  bool dirty = true;
  absl::Time dirty_since = absl::InfinitePast();
  // Whether the caller may still ask must be looked into, without waiting.
  bool check = false;
  // Why it must end, as soon as nothing is in flight.
  std::optional<absl::Status> ending;
  absl::Time last_write;
  // Where it stands in timers_ and expiries_; infinite if it does not.
  absl::Time timer = absl::InfiniteFuture();
  absl::Time expiry = absl::InfiniteFuture();
  // Until then nothing is sent, since a refresh is under way; infinitely past if none is.
  absl::Time awaiting = absl::InfinitePast();
  // Sorted.
  std::vector<storage::WatchKey> caller_keys;
  std::vector<storage::WatchKey> answer_keys;

  // Of the last answer that was sent; none if what the receiver holds is not known exactly.
  std::optional<Fingerprinter::Fingerprint> sent;
  // What the client says that it holds, until the first answer.
  storage::Revision resume = 0;
  // The process record that this watch keeps alive.
  std::string process;
  // The connections whose tokens have ended and were asked for.
  std::vector<ConnectionKey> asked;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_WATCH_WATCHER_H_
