#ifndef KEYFERRY_INJECTOR_AGENT_FEED_SOURCE_H_
#define KEYFERRY_INJECTOR_AGENT_FEED_SOURCE_H_

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "injector/agent/feed.h"
#include "injector/agent/inbox.h"
#include "injector/source/environment_source.h"
#include "injector/source/server_access.h"

namespace keyferry::injector::agent {

// Keeps a feed up to date with what the server says, from now until it is destroyed, on a thread of its own. A first
// environment is asked for as long as there is none.
class FeedSource : private EnvironmentListener {
 public:
  // Called by the loop's thread; `inbox` and `feed` outlive this. `log` gets lines through the inbox.
  FeedSource(ServerAccess access, Inbox& inbox, Feed& feed, std::function<void(const std::string&)> log);
  ~FeedSource() override;
  FeedSource(const FeedSource&) = delete;
  FeedSource& operator=(const FeedSource&) = delete;

  // Lets it come to its end, which its destructor waits for.
  void BeginStopping() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void OnEnvironment(ResolvedEnvironment environment) override;
  void OnProblem(std::string line) override;
  void OnEnded(Failure failure) override;
  void OnStanding(Standing standing, Failure why) override;

  void Run() ABSL_LOCKS_EXCLUDED(mutex_);
  std::unique_ptr<EnvironmentSource> OpenOnce(Failure* failure);
  bool stopping() ABSL_LOCKS_EXCLUDED(mutex_);

  const ServerAccess access_;
  Inbox& inbox_;
  Feed& feed_;
  const std::function<void(const std::string&)> log_;
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace keyferry::injector::agent

#endif  // KEYFERRY_INJECTOR_AGENT_FEED_SOURCE_H_
