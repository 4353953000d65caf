#ifndef KEYFERRY_INJECTOR_SUPERVISE_INPUT_STREAM_H_
#define KEYFERRY_INJECTOR_SUPERVISE_INPUT_STREAM_H_

#include <cstddef>
#include <functional>
#include <optional>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "injector/supervise/descriptor.h"
#include "injector/supervise/event_loop.h"

namespace keyferry::injector {

// Reads a descriptor as bytes arrive, and not while it is paused: whoever writes into it then has to wait, as if nobody
// read. For the loop's thread.
class InputStream {
 public:
  // `received` gets each piece in order; valid during the call. `ended` is called once, after the last piece: end of
  // file, a read error, or what FinishSoon says. Neither may destroy this object.
  InputStream(EventLoop& loop, SharedEndpoint endpoint, std::function<void(absl::string_view)> received,
              std::function<void()> ended);
  ~InputStream();
  InputStream(const InputStream&) = delete;
  InputStream& operator=(const InputStream&) = delete;

  void Pause();
  void Resume();
  bool paused() const { return paused_; }
  bool ended() const { return ended_; }

  // The process that writes has ended: reads what it left, and ends there although others may hold the descriptor open.
  // A terminal does not say how much that is: it gets `patience` to show it.
  void FinishSoon(absl::Duration patience = absl::ZeroDuration());

 private:
  void Ready();
  void EndAfter(absl::Duration patience);
  void End();

  EventLoop& loop_;
  SharedEndpoint endpoint_;
  std::function<void(absl::string_view)> received_;
  std::function<void()> ended_call_;
  EventLoop::WatchId watch_ = 0;
  EventLoop::TimerId end_timer_ = 0;
  bool paused_ = false;
  bool ended_ = false;
  // Bytes that are still to be read, once that is known.
  std::optional<size_t> rest_;
};

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_SUPERVISE_INPUT_STREAM_H_
