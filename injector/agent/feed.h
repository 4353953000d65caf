#ifndef KEYFERRY_INJECTOR_AGENT_FEED_H_
#define KEYFERRY_INJECTOR_AGENT_FEED_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>

#include "absl/time/time.h"
#include "client/secret_text.h"
#include "injector/exec/exit_code.h"
#include "injector/source/resolved_environment.h"

namespace keyferry::injector::agent {

// A frame that several connections write; wiped by the last of them.
using SharedFrame = std::shared_ptr<const client::SecretText>;

// Hears that a feed's answer is another one now.
class FeedObserver {
 public:
  virtual ~FeedObserver() = default;
  virtual void FeedChanged() = 0;
  // One line about the feed that leaves what runs as it is.
  virtual void FeedSays(const std::string& line) = 0;
};

// The environment of one MCP server in one session as the agent last knew it, and who runs with it. For the loop's
// thread.
class Feed {
 public:
  struct Options {
    // How long values that the server no longer vouches for are given to new launches.
    absl::Duration max_stale;
    std::function<absl::Time()> now;
  };
  // What a launch is answered now.
  struct Ready {
    // An environment frame.
    SharedFrame frame;
    int64_t revision = 0;
  };
  struct Waiting {
    std::string why;
  };
  using Answer = std::variant<Ready, Waiting, Failure>;

  // Names the feed in lines.
  Feed(std::string name, Options options);
  Feed(const Feed&) = delete;
  Feed& operator=(const Feed&) = delete;

  const std::string& name() const { return name_; }
  Answer ForLaunch() const;
  // What a command that runs is to have: the newest environment; null if there is none, if the server refuses it now,
  // or if it is older than is given to new launches.
  std::optional<Ready> ForRunning() const;
  // Whether an agent may have given out this revision: it is not above the newest that is known.
  bool MayHaveGiven(int64_t revision) const { return environment_.has_value() && revision <= environment_->revision; }
  // Since when the server does not vouch for it; InfiniteFuture if it does.
  absl::Time stale_since() const { return stale_since_; }

  void Observe(FeedObserver* observer) { observers_.insert(observer); }
  void Forget(FeedObserver* observer) { observers_.erase(observer); }

  // What the source tells.
  void TakeEnvironment(ResolvedEnvironment environment);
  void TakeStanding(Standing standing, Failure why);
  void TakeLine(const std::string& line);

  // Where the oldest revision that runs is reported, and when nothing runs any more; may be null.
  void ReportTo(ReportSink* sink);
  // Somebody, told apart by an address, runs with that revision; or does not any more.
  void Holds(const void* holder, int64_t revision, int64_t pid);
  void HoldsNothing(const void* holder);

 private:
  struct Held {
    int64_t revision = 0;
    int64_t pid = 0;
  };
  bool TooStale() const;
  void Changed();
  void Report();
  SharedFrame Frame() const;

  const std::string name_;
  const Options options_;
  std::optional<ResolvedEnvironment> environment_;
  Standing standing_ = Standing::kUnknown;
  Failure why_ = {kUnavailable, "the server has not been reached yet"};
  absl::Time stale_since_ = absl::InfiniteFuture();
  // Of the current state, once it was asked for.
  mutable SharedFrame frame_;
  std::set<FeedObserver*> observers_;
  ReportSink* sink_ = nullptr;
  std::map<const void*, Held> held_;
  Held reported_;
};

}  // namespace keyferry::injector::agent

#endif  // KEYFERRY_INJECTOR_AGENT_FEED_H_
