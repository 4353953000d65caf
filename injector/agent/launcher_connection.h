#ifndef KEYFERRY_INJECTOR_AGENT_LAUNCHER_CONNECTION_H_
#define KEYFERRY_INJECTOR_AGENT_LAUNCHER_CONNECTION_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "injector/agent/feed.h"
#include "injector/agent/frame_reader.h"
#include "injector/agent/frame_writer.h"
#include "injector/agent/message_budget.h"
#include "injector/agent/protocol.h"
#include "injector/supervise/descriptor.h"
#include "injector/supervise/event_loop.h"

namespace keyferry::injector::agent {

// One launcher, from its hello to its end. It is not trusted: what it sends is bounded in size and number, what it does
// not read is not kept for long, and nothing that it says concerns anybody else. For the loop's thread.
class LauncherConnection : private FeedObserver {
 public:
  struct Limits {
    absl::Duration hello = absl::Seconds(5);
    // Until what was written is read.
    absl::Duration reading = absl::Seconds(10);
    // Frames from the launcher in `window`.
    int frames = 200;
    absl::Duration window = absl::Seconds(10);
  };
  struct Callbacks {
    // It is over, for the reason that is given; "" if nothing was wrong. The last call; from the loop, and the object
    // may be destroyed within.
    std::function<void(const std::string& why)> ended;
    // A launcher that becomes its command has been given that revision.
    std::function<void(int64_t revision, int64_t pid)> launched;
  };

  // `feed` and `budget`, that of the frames of all launchers of the container, outlive this.
  LauncherConnection(EventLoop& loop, Descriptor socket, Feed& feed, MessageBudget& budget, const Limits& limits,
                     Callbacks callbacks);
  ~LauncherConnection() override;
  LauncherConnection(const LauncherConnection&) = delete;
  LauncherConnection& operator=(const LauncherConnection&) = delete;

  // The agent is about to end.
  void Drain();
  // Whether a command runs, or is about to, with what was sent here.
  bool serving() const { return state_ == State::kServing; }

 private:
  enum class State { kHello, kWaiting, kServing, kEnding, kEnded };

  void FeedChanged() override;
  void FeedSays(const std::string& line) override;

  void Ready(uint32_t events);
  void ReadSome();
  void OnFrame();
  void OnHello();
  void OnConfirm();
  // For a launch that has no answer yet.
  void TryToServe();
  // For a command that runs.
  void Update();
  void Serve(const Feed::Ready& ready);
  void Say(NoticeKind kind, const std::string& line);
  void EndAfterWriting();
  void End(const std::string& why);

  EventLoop& loop_;
  const Descriptor socket_;
  Feed& feed_;
  MessageBudget& budget_;
  const Limits limits_;
  const Callbacks callbacks_;
  EventLoop::WatchId watch_ = 0;
  EventLoop::TimerId hello_timer_ = 0;
  EventLoop::TimerId end_timer_ = 0;
  FrameReader reader_{kMaxFrameToAgent};
  FrameWriter writer_;
  State state_ = State::kHello;
  Hello hello_;
  // Revisions that may be confirmed: the newest that were sent, and that of the hello.
  std::deque<int64_t> sent_;
  absl::Time stale_since_ = absl::InfiniteFuture();
  std::string told_waiting_;
  MessageBudget own_budget_;
};

}  // namespace keyferry::injector::agent

#endif  // KEYFERRY_INJECTOR_AGENT_LAUNCHER_CONNECTION_H_
