#ifndef KEYFERRY_INJECTOR_AGENT_FRAME_WRITER_H_
#define KEYFERRY_INJECTOR_AGENT_FRAME_WRITER_H_

#include <cstddef>
#include <deque>
#include <functional>

#include "absl/time/time.h"
#include "injector/agent/feed.h"
#include "injector/supervise/event_loop.h"

namespace keyferry::injector::agent {

// Writes frames to a socket without waiting, and bounds what waits to be written: of several environments only the
// newest, and a handful of other frames. For the loop's thread.
class FrameWriter {
 public:
  // `too_slow` is called once from the loop when something has waited for `patience`. The socket outlives this.
  FrameWriter(EventLoop& loop, int socket, absl::Duration patience, std::function<void()> too_slow);
  ~FrameWriter();
  FrameWriter(const FrameWriter&) = delete;
  FrameWriter& operator=(const FrameWriter&) = delete;

  void WriteEnvironment(SharedFrame frame) { Add(std::move(frame), /*environment=*/true); }
  // Dropped if too many wait.
  void Write(client::SecretText frame);
  // Writes what can be written now. False if the peer is gone.
  bool Flush();
  bool empty() const { return queue_.empty(); }

 private:
  struct Entry {
    SharedFrame frame;
    bool environment = false;
  };
  void Add(SharedFrame frame, bool environment);

  EventLoop& loop_;
  const int socket_;
  const absl::Duration patience_;
  const std::function<void()> too_slow_;
  EventLoop::TimerId timer_ = 0;
  std::deque<Entry> queue_;
  // Of the first, written already.
  size_t offset_ = 0;
};

}  // namespace keyferry::injector::agent

#endif  // KEYFERRY_INJECTOR_AGENT_FRAME_WRITER_H_
