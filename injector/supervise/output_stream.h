#ifndef KEYFERRY_INJECTOR_SUPERVISE_OUTPUT_STREAM_H_
#define KEYFERRY_INJECTOR_SUPERVISE_OUTPUT_STREAM_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <vector>

#include "absl/strings/string_view.h"
#include "injector/mcp/growing_buffer.h"
#include "injector/supervise/descriptor.h"
#include "injector/supervise/event_loop.h"

namespace keyferry::injector {

// Writes bytes in order to a descriptor that may be slow, without ever waiting. What cannot be written at once is kept;
// whoever writes asks full() and holds back, which is what keeps memory bounded. For the loop's thread.
class OutputStream {
 public:
  // From here on writers are to hold back.
  static constexpr size_t kFull = 256 * 1024;

  OutputStream(EventLoop& loop, SharedEndpoint endpoint);
  ~OutputStream();
  OutputStream(const OutputStream&) = delete;
  OutputStream& operator=(const OutputStream&) = delete;

  // Takes all of it, however full. Dropped if the stream is broken or finishing.
  void Write(absl::string_view data);
  // The same without a copy: moves from `data` unless it could be written at once.
  void Write(mcp::GrowingBuffer& data);
  bool full() const { return pending_ >= kFull; }
  size_t pending() const { return pending_; }
  // Whether the last byte that was given to Write ended a line, or none was.
  bool at_line_start() const { return at_line_start_; }

  // Nobody reads any more (EPIPE, a hangup). Told once, from the loop, also if nothing is being written.
  bool broken() const { return broken_; }
  void OnBroken(std::function<void()> call) { on_broken_ = std::move(call); }

  // Calls everybody who asked, once, from the loop, when the stream has room again, is empty, or is broken.
  void WhenRoom(std::function<void()> call);
  void WhenEmpty(std::function<void()> call);

  // Calls `closed` from the loop when what is pending was written or the stream is broken. Nothing may be written
  // afterwards. The endpoint is closed with this object.
  void Finish(std::function<void()> closed);

  // Lets go of the descriptor; what is pending is dropped, and what is written from now on.
  void Close();

 private:
  void Ready(uint32_t events);
  bool Accepts(absl::string_view data);
  size_t WriteNow(absl::string_view data);
  void WriteSome();
  void Keep(absl::string_view data);
  void Break();
  void Watch();
  void Settle();

  EventLoop& loop_;
  SharedEndpoint endpoint_;
  EventLoop::WatchId watch_ = 0;
  EventLoop::TimerId notice_ = 0;
  // Written from `offset_` of the first on.
  std::deque<mcp::GrowingBuffer> chunks_;
  size_t offset_ = 0;
  size_t pending_ = 0;
  bool at_line_start_ = true;
  bool broken_ = false;
  bool finishing_ = false;
  std::function<void()> on_broken_;
  std::vector<std::function<void()>> when_room_;
  std::vector<std::function<void()>> when_empty_;
};

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_SUPERVISE_OUTPUT_STREAM_H_
