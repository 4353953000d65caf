#ifndef KEYFERRY_SERVER_WATCH_WATCH_SINK_H_
#define KEYFERRY_SERVER_WATCH_WATCH_SINK_H_

#include "absl/status/status.h"
#include "keyferry/v1/resolution.pb.h"
#include "storage/records/typed.h"

namespace keyferry::server {

// Where one watcher's messages go. Calls come one at a time, from any thread. Both may return before anything has left.
class WatchSink {
 public:
  virtual ~WatchSink() = default;

  // Begins to send. Nothing else is called until WatchHub::OnWritten has been. The message wipes itself; keep it no
  // longer than the write takes.
  virtual void Write(storage::Wiped<v1::WatchResponse> message) = 0;

  // The end, called exactly once, and last: the sink may be gone when it returns.
  virtual void Finish(const absl::Status& status) = 0;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_WATCH_WATCH_SINK_H_
