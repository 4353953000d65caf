#include "injector/agent/launcher_connection.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"

namespace keyferry::injector::agent {
namespace {

constexpr size_t kReadAtOnce = 4096;
// As many as the server knows of a process.
constexpr size_t kKnownRevisions = 16;

}  // namespace

LauncherConnection::LauncherConnection(EventLoop& loop, Descriptor socket, Feed& feed, MessageBudget& budget,
                                       const Limits& limits, Callbacks callbacks)
    : loop_(loop),
      socket_(std::move(socket)),
      feed_(feed),
      budget_(budget),
      limits_(limits),
      callbacks_(std::move(callbacks)),
      writer_(loop, socket_.get(), limits.reading, [this] { End("it does not read what it is sent"); }),
      own_budget_(limits.frames, limits.window) {
  watch_ = loop_.Watch(socket_.get(), EPOLLIN, [this](uint32_t events) { Ready(events); });
  hello_timer_ = loop_.After(limits_.hello, [this] {
    hello_timer_ = 0;
    End("it did not say hello in time");
  });
}

LauncherConnection::~LauncherConnection() {
  feed_.Forget(this);
  feed_.HoldsNothing(this);
  loop_.Cancel(hello_timer_);
  loop_.Cancel(end_timer_);
  loop_.Forget(watch_);
}

void LauncherConnection::Ready(uint32_t events) {
  if (state_ == State::kEnded) return;
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) ReadSome();
  if (state_ == State::kEnded) return;
  if (!writer_.Flush()) return End("");
  if (writer_.empty() && state_ == State::kEnding) return End("");
  loop_.Change(watch_, writer_.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT);
}

// A little at a time, so that others get their turn.
void LauncherConnection::ReadSome() {
  char buffer[kReadAtOnce];
  const ssize_t size = recv(socket_.get(), buffer, sizeof(buffer), MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0) return End(reader_.within_frame() ? "it left in the middle of a message" : "");
  absl::string_view data(buffer, static_cast<size_t>(size));
  while (!data.empty() && state_ != State::kEnded) {
    // What comes after the last answer is of no interest.
    if (state_ == State::kEnding) return;
    switch (reader_.Take(data)) {
      case FrameReader::Result::kMore:
        break;
      case FrameReader::Result::kBroken:
        return End("it sent something that is not a message");
      case FrameReader::Result::kFrame:
        if (!own_budget_.Take()) return End("it sends too many messages");
        if (!budget_.Take()) return End("the container sends too many messages");
        OnFrame();
        break;
    }
  }
}

void LauncherConnection::OnFrame() {
  if (reader_.type() == MessageType::kHello && state_ == State::kHello) return OnHello();
  const bool supervises = hello_.mode == LaunchMode::kSupervise && state_ == State::kServing;
  if (reader_.type() == MessageType::kConfirm && supervises) return OnConfirm();
  End("it sent a message that has no place there");
}

void LauncherConnection::OnHello() {
  if (!ReadHello(reader_.payload(), hello_)) return End("its hello is not one");
  loop_.Cancel(hello_timer_);
  hello_timer_ = 0;
  if (hello_.version != kProtocolVersion) {
    writer_.Write(ErrorFrame({kUsage, absl::StrCat("the launcher speaks protocol ", hello_.version, " and the agent ",
                                                   kProtocolVersion, "; install both from one version")}));
    return EndAfterWriting();
  }
  feed_.Observe(this);
  if (hello_.running_revision == 0) {
    state_ = State::kWaiting;
    return TryToServe();
  }
  state_ = State::kServing;
  // What was never given out here is not passed on as what runs.
  if (feed_.MayHaveGiven(hello_.running_revision)) feed_.Holds(this, hello_.running_revision, hello_.pid);
  Update();
}

void LauncherConnection::OnConfirm() {
  Confirm confirm;
  if (!ReadConfirm(reader_.payload(), confirm)) return End("its confirmation is not one");
  const bool known = (confirm.revision == hello_.running_revision && feed_.MayHaveGiven(confirm.revision)) ||
                     std::find(sent_.begin(), sent_.end(), confirm.revision) != sent_.end();
  if (!known) return End("it confirms what it was not sent");
  feed_.Holds(this, confirm.revision, confirm.pid);
}

void LauncherConnection::TryToServe() {
  const Feed::Answer answer = feed_.ForLaunch();
  if (const auto* ready = std::get_if<Feed::Ready>(&answer)) {
    state_ = State::kServing;
    Serve(*ready);
    if (hello_.mode == LaunchMode::kExec) callbacks_.launched(ready->revision, hello_.pid);
    if (hello_.mode != LaunchMode::kSupervise) EndAfterWriting();
  } else if (const auto* waiting = std::get_if<Feed::Waiting>(&answer)) {
    if (waiting->why != told_waiting_) Say(NoticeKind::kWaiting, waiting->why);
    told_waiting_ = waiting->why;
  } else {
    writer_.Write(ErrorFrame(std::get<Failure>(answer)));
    EndAfterWriting();
  }
}

void LauncherConnection::Update() {
  const std::optional<Feed::Ready> ready = feed_.ForRunning();
  // What is refused stays with those who have it; a line has said so.
  if (!ready.has_value()) return;
  if (sent_.empty() || ready->revision != sent_.back()) return Serve(*ready);
  if (feed_.stale_since() == stale_since_) return;
  stale_since_ = feed_.stale_since();
  if (stale_since_ == absl::InfiniteFuture()) return Say(NoticeKind::kCurrent, "the values are current again");
  Say(NoticeKind::kStale, absl::StrCat("the server cannot be asked whether the values are still current, since ",
                                       absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", stale_since_, absl::UTCTimeZone())));
}

void LauncherConnection::Serve(const Feed::Ready& ready) {
  stale_since_ = feed_.stale_since();
  sent_.push_back(ready.revision);
  if (sent_.size() > kKnownRevisions) sent_.pop_front();
  writer_.WriteEnvironment(ready.frame);
  loop_.Change(watch_, EPOLLIN | EPOLLOUT);
}

void LauncherConnection::FeedChanged() {
  if (state_ == State::kWaiting) TryToServe();
  if (state_ == State::kServing && hello_.mode == LaunchMode::kSupervise) Update();
}

void LauncherConnection::FeedSays(const std::string& line) {
  if (state_ == State::kServing && hello_.mode == LaunchMode::kSupervise) Say(NoticeKind::kProblem, line);
}

void LauncherConnection::Say(NoticeKind kind, const std::string& line) {
  writer_.Write(NoticeFrame({kind, line}));
  loop_.Change(watch_, EPOLLIN | EPOLLOUT);
}

void LauncherConnection::Drain() {
  if (state_ != State::kServing && state_ != State::kWaiting) return;
  writer_.Write(DrainFrame());
  loop_.Change(watch_, EPOLLIN | EPOLLOUT);
}

void LauncherConnection::EndAfterWriting() {
  state_ = State::kEnding;
  feed_.Forget(this);
  loop_.Change(watch_, EPOLLIN | EPOLLOUT);
}

void LauncherConnection::End(const std::string& why) {
  if (state_ == State::kEnded) return;
  state_ = State::kEnded;
  feed_.Forget(this);
  feed_.HoldsNothing(this);
  loop_.Forget(watch_);
  watch_ = 0;
  // Not from within a call of the feed's or of this object's own.
  end_timer_ = loop_.After(absl::ZeroDuration(), [this, why] {
    end_timer_ = 0;
    callbacks_.ended(why);
  });
}

}  // namespace keyferry::injector::agent
