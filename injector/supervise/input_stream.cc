#include "injector/supervise/input_stream.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <utility>

namespace keyferry::injector {
namespace {

// As much as a pipe holds, so that one read empties it.
constexpr size_t kBuffer = 64 * 1024;

}  // namespace

InputStream::InputStream(EventLoop& loop, SharedEndpoint endpoint, std::function<void(absl::string_view)> received,
                         std::function<void()> ended)
    : loop_(loop), endpoint_(std::move(endpoint)), received_(std::move(received)), ended_call_(std::move(ended)) {
  watch_ = loop_.Watch(endpoint_.number(), EPOLLIN, [this](uint32_t) { Ready(); });
}

InputStream::~InputStream() {
  loop_.Forget(watch_);
  loop_.Cancel(end_timer_);
}

// Forgotten rather than changed: a hangup would be reported again and again while nobody reads.
void InputStream::Pause() {
  if (paused_ || ended_) return;
  paused_ = true;
  loop_.Forget(watch_);
  watch_ = 0;
}

void InputStream::Resume() {
  if (!paused_ || ended_) return;
  paused_ = false;
  watch_ = loop_.Watch(endpoint_.number(), EPOLLIN, [this](uint32_t) { Ready(); });
}

void InputStream::FinishSoon(absl::Duration patience) {
  if (ended_ || rest_.has_value() || end_timer_ != 0) return;
  if (patience > absl::ZeroDuration()) return EndAfter(patience);
  int waiting = 0;
  ioctl(endpoint_.number(), FIONREAD, &waiting);
  rest_ = static_cast<size_t>(std::max(waiting, 0));
  if (*rest_ == 0) EndAfter(absl::ZeroDuration());
}

// Not while it is paused: there may be more to read.
void InputStream::EndAfter(absl::Duration patience) {
  end_timer_ = loop_.After(patience, [this, patience] {
    end_timer_ = 0;
    if (paused_ && patience > absl::ZeroDuration()) return EndAfter(patience);
    End();
  });
}

void InputStream::End() {
  if (ended_) return;
  ended_ = true;
  loop_.Forget(watch_);
  watch_ = 0;
  ended_call_();
}

void InputStream::Ready() {
  char buffer[kBuffer];
  const size_t want = rest_.has_value() ? std::min(*rest_, sizeof(buffer)) : sizeof(buffer);
  if (want == 0) return;
  const ssize_t size = endpoint_.Read(buffer, want);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0) {
    End();
    return;
  }
  if (rest_.has_value()) *rest_ -= static_cast<size_t>(size);
  received_({buffer, static_cast<size_t>(size)});
  if (rest_ == size_t{0}) End();
}

}  // namespace keyferry::injector
