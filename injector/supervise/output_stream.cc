#include "injector/supervise/output_stream.h"

#include <errno.h>
#include <sys/epoll.h>

#include <algorithm>
#include <utility>

namespace keyferry::injector {
namespace {

// Small writes are gathered into chunks of this size; a larger one is a chunk of its own.
constexpr size_t kChunk = 64 * 1024;

void CallAll(std::vector<std::function<void()>>& calls) {
  for (const std::function<void()>& call : std::exchange(calls, {})) call();
}

}  // namespace

OutputStream::OutputStream(EventLoop& loop, SharedEndpoint endpoint) : loop_(loop), endpoint_(std::move(endpoint)) {
  Watch();
}

OutputStream::~OutputStream() {
  loop_.Forget(watch_);
  loop_.Cancel(notice_);
}

// With nothing to write it still hears of errors.
void OutputStream::Watch() {
  const uint32_t events = pending_ > 0 ? uint32_t{EPOLLOUT} : 0;
  if (watch_ == 0) {
    watch_ = loop_.Watch(endpoint_.number(), events, [this](uint32_t ready) { Ready(ready); });
  } else {
    loop_.Change(watch_, events);
  }
}

bool OutputStream::Accepts(absl::string_view data) {
  if (data.empty() || broken_ || finishing_) return false;
  at_line_start_ = data.back() == '\n';
  return true;
}

void OutputStream::Write(absl::string_view data) {
  if (!Accepts(data)) return;
  data.remove_prefix(WriteNow(data));
  if (!data.empty() && !broken_) Keep(data);
}

void OutputStream::Write(mcp::GrowingBuffer& data) {
  if (!Accepts(data.text())) return;
  const size_t written = WriteNow(data.text());
  if (written == data.size() || broken_) return;
  if (chunks_.empty()) offset_ = written;
  pending_ += data.size() - written;
  chunks_.push_back(std::move(data));
  Watch();
}

// Answers how much of it went out; nothing may overtake what is pending.
size_t OutputStream::WriteNow(absl::string_view data) {
  size_t size = 0;
  while (pending_ == 0 && size < data.size()) {
    const ssize_t written = endpoint_.Write(data.data() + size, data.size() - size);
    if (written >= 0) {
      size += static_cast<size_t>(written);
    } else if (errno != EINTR) {
      if (errno != EAGAIN) Break();
      break;
    }
  }
  return size;
}

void OutputStream::Keep(absl::string_view data) {
  if (chunks_.empty() || chunks_.back().size() + data.size() > kChunk) {
    chunks_.emplace_back();
    chunks_.back().Reserve(std::max(data.size(), size_t{4096}));
  }
  chunks_.back().Append(data);
  pending_ += data.size();
  Watch();
}

void OutputStream::WriteSome() {
  while (!chunks_.empty()) {
    const absl::string_view chunk = chunks_.front().text();
    const ssize_t written = endpoint_.Write(chunk.data() + offset_, chunk.size() - offset_);
    if (written < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) Break();
      return;
    }
    offset_ += static_cast<size_t>(written);
    pending_ -= static_cast<size_t>(written);
    if (offset_ == chunk.size()) {
      chunks_.pop_front();
      offset_ = 0;
    }
  }
}

void OutputStream::Ready(uint32_t events) {
  if (events & EPOLLOUT) WriteSome();
  if ((events & (EPOLLERR | EPOLLHUP)) && !broken_) Break();
  if (broken_) return;
  Watch();
  Settle();
}

void OutputStream::Break() {
  broken_ = true;
  chunks_.clear();
  offset_ = 0;
  pending_ = 0;
  loop_.Forget(watch_);
  watch_ = 0;
  // Not from within a Write of whoever is to hear of it.
  loop_.Cancel(notice_);
  notice_ = loop_.After(absl::ZeroDuration(), [this] {
    notice_ = 0;
    if (on_broken_ != nullptr) on_broken_();
    Settle();
  });
}

void OutputStream::Close() {
  on_broken_ = nullptr;
  if (!broken_) Break();
  endpoint_ = SharedEndpoint::Own(Descriptor());
}

void OutputStream::Settle() {
  if (pending_ < kFull / 2) CallAll(when_room_);
  if (pending_ == 0) CallAll(when_empty_);
}

void OutputStream::WhenRoom(std::function<void()> call) { when_room_.push_back(std::move(call)); }

void OutputStream::WhenEmpty(std::function<void()> call) {
  when_empty_.push_back(std::move(call));
  if (pending_ > 0 || notice_ != 0) return;
  notice_ = loop_.After(absl::ZeroDuration(), [this] {
    notice_ = 0;
    Settle();
  });
}

void OutputStream::Finish(std::function<void()> closed) {
  finishing_ = true;
  WhenEmpty(std::move(closed));
}

}  // namespace keyferry::injector
