#include "injector/agent/frame_writer.h"

#include <errno.h>
#include <sys/socket.h>

#include <memory>
#include <utility>

#include "absl/strings/string_view.h"

namespace keyferry::injector::agent {
namespace {

constexpr size_t kMostWaiting = 16;

}  // namespace

FrameWriter::FrameWriter(EventLoop& loop, int socket, absl::Duration patience, std::function<void()> too_slow)
    : loop_(loop), socket_(socket), patience_(patience), too_slow_(std::move(too_slow)) {}

FrameWriter::~FrameWriter() { loop_.Cancel(timer_); }

void FrameWriter::Write(client::SecretText frame) {
  if (queue_.size() >= kMostWaiting) return;
  Add(std::make_shared<const client::SecretText>(std::move(frame)), /*environment=*/false);
}

void FrameWriter::Add(SharedFrame frame, bool environment) {
  // One that has not begun gives way to a newer one.
  for (size_t i = offset_ > 0 ? 1 : 0; environment && i < queue_.size(); ++i) {
    if (!queue_[i].environment) continue;
    queue_.erase(queue_.begin() + static_cast<std::ptrdiff_t>(i));
    break;
  }
  queue_.push_back({std::move(frame), environment});
  if (timer_ != 0) return;
  timer_ = loop_.After(patience_, [this] {
    timer_ = 0;
    too_slow_();
  });
}

bool FrameWriter::Flush() {
  while (!queue_.empty()) {
    const absl::string_view rest = queue_.front().frame->Expose().substr(offset_);
    const ssize_t size = send(socket_, rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return errno == EAGAIN;
    offset_ += static_cast<size_t>(size);
    if (offset_ < queue_.front().frame->size()) continue;
    queue_.pop_front();
    offset_ = 0;
  }
  loop_.Cancel(timer_);
  timer_ = 0;
  return true;
}

}  // namespace keyferry::injector::agent
