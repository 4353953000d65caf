#ifndef KEYFERRY_INJECTOR_AGENT_TESTING_TEST_AGENT_H_
#define KEYFERRY_INJECTOR_AGENT_TESTING_TEST_AGENT_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "injector/agent/agent.h"
#include "injector/agent/feed.h"
#include "injector/agent/inbox.h"
#include "injector/supervise/event_loop.h"

namespace keyferry::testing {

// A ResolvedEnvironment of these variables, each of version `revision`.
injector::ResolvedEnvironment EnvironmentOf(const std::vector<std::pair<std::string, std::string>>& variables,
                                            int64_t revision);

// A directory that is removed with its contents.
class ScratchDirectory {
 public:
  ScratchDirectory();
  ~ScratchDirectory();
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// An agent whose feeds the test fills, on a thread of its own. Its clock is the test's.
class TestAgent : private injector::ReportSink {
 public:
  TestAgent();
  ~TestAgent() override;

  // One feed for each container; the status of Agent::Serve.
  absl::Status Serve(const std::string& name, const std::string& directory, std::optional<uid_t> uid = std::nullopt);
  // Another container of the feed of `name`.
  absl::Status Share(const std::string& name, const std::string& other, const std::string& directory);
  absl::Status Control(const std::string& directory);

  void Give(const std::string& name, const std::vector<std::pair<std::string, std::string>>& variables,
            int64_t revision);
  void Stand(const std::string& name, injector::Standing standing, injector::Failure why = {});
  void Advance(absl::Duration time);
  void Drain(absl::Duration grace);
  bool ended();

  // Lines that the agent logged.
  std::string Log();
  // Waits until the log has the text; false after a while.
  bool AwaitLog(const std::string& text);
  // Waits until "REVISION PID" was reported for any feed; the last report if it was not.
  std::string AwaitReport(const std::string& report);
  std::string LastReport();

  // Makes a call on the agent's thread and waits for its end.
  void Do(const std::function<void()>& call);

 private:
  void Running(int64_t revision, int64_t pid) override;

  std::unique_ptr<injector::EventLoop> loop_;
  std::unique_ptr<injector::agent::Inbox> inbox_;
  std::map<std::string, std::unique_ptr<injector::agent::Feed>> feeds_;
  std::unique_ptr<injector::agent::Agent> agent_;
  absl::Time now_ = absl::FromUnixSeconds(1800000000);
  bool stop_ = false;
  absl::Mutex mutex_;
  std::string log_ ABSL_GUARDED_BY(mutex_);
  std::string report_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace keyferry::testing

#endif  // KEYFERRY_INJECTOR_AGENT_TESTING_TEST_AGENT_H_
