#ifndef KEYFERRY_STORAGE_ENGINE_CHANGE_FEED_H_
#define KEYFERRY_STORAGE_ENGINE_CHANGE_FEED_H_

#include <cstddef>
#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "storage/engine/engine.h"

namespace keyferry::storage {

// Keeps the newest changes of an engine and hands those that are durable to its watchers, on one thread of its own.
// Thread-safe. A watch may outlive the feed; it then gets no more calls.
class ChangeFeed {
 public:
  // `last` is the revision found at open: changes up to it are not kept. `capacity` bounds how many are kept after it.
  explicit ChangeFeed(Revision last, size_t capacity = 65536);
  // Waits for a running callback.
  ~ChangeFeed();
  ChangeFeed(const ChangeFeed&) = delete;
  ChangeFeed& operator=(const ChangeFeed&) = delete;

  // Adds a change whose revision is one more than the last one's. It is not handed out yet.
  void Append(EngineChange change);

  // Hands out every change up to `durable`.
  void Release(Revision durable);

  // See Engine::Watch. OUT_OF_RANGE also if `after` is a revision that the engine has not reached. A callback may
  // destroy its own watch.
  absl::StatusOr<std::unique_ptr<EngineWatch>> Watch(Revision after,
                                                     std::function<void(const EngineChange&)> on_change);

 private:
  struct State;
  struct Watcher;
  class Handle;

  const std::shared_ptr<State> state_;
};

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_ENGINE_CHANGE_FEED_H_
