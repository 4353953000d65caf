#ifndef KEYFERRY_TESTS_INTEGRATION_RECORDING_LISTENER_H_
#define KEYFERRY_TESTS_INTEGRATION_RECORDING_LISTENER_H_

#include <deque>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "gtest/gtest.h"
#include "injector/source/resolved_environment.h"

namespace keyferry::testing {

// "A=v1 B=v2": values are told apart by their versions alone.
inline std::string InWords(const injector::ResolvedEnvironment& environment) {
  std::string text;
  for (const injector::ResolvedValue& variable : environment.variables) {
    EXPECT_FALSE(variable.value.empty()) << variable.name;
    absl::StrAppend(&text, text.empty() ? "" : " ", variable.name, "=v", variable.version);
  }
  return text;
}

// Keeps what a source tells. Thread-safe.
class RecordingListener : public injector::EnvironmentListener {
 public:
  void OnEnvironment(injector::ResolvedEnvironment environment) override {
    absl::MutexLock lock(&mutex_);
    EXPECT_GE(environment.revision, revision_) << "never an older one";
    revision_ = environment.revision;
    told_.push_back("environment " + InWords(environment));
  }
  void OnProblem(std::string line) override {
    absl::MutexLock lock(&mutex_);
    told_.push_back("problem " + std::move(line));
  }
  void OnEnded(injector::Failure failure) override {
    absl::MutexLock lock(&mutex_);
    told_.push_back(absl::StrCat("ended ", failure.exit_code, " ", failure.message));
  }

  void OnStanding(injector::Standing standing, injector::Failure why) override {
    absl::MutexLock lock(&mutex_);
    standings_ += standing == injector::Standing::kCurrent   ? "current "
                  : standing == injector::Standing::kRefused ? absl::StrCat("refused:", why.exit_code, " ")
                                                             : "unknown ";
  }
  // Waits until these were told, in order; all that were told if they are not after a while.
  std::string AwaitStandings(const std::string& standings) {
    const auto told = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return standings_ == standings; };
    absl::MutexLock lock(&mutex_);
    mutex_.AwaitWithTimeout(absl::Condition(&told), absl::Seconds(30));
    return standings_;
  }

  // What was told next, in words; "nothing" after a while.
  std::string Next() {
    const auto told = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return !told_.empty(); };
    absl::MutexLock lock(&mutex_);
    if (!mutex_.AwaitWithTimeout(absl::Condition(&told), absl::Seconds(30))) return "nothing";
    std::string next = std::move(told_.front());
    told_.pop_front();
    return next;
  }
  size_t Count() {
    absl::MutexLock lock(&mutex_);
    return told_.size();
  }
  // Of the newest environment.
  int64_t revision() {
    absl::MutexLock lock(&mutex_);
    return revision_;
  }

 private:
  absl::Mutex mutex_;
  std::deque<std::string> told_ ABSL_GUARDED_BY(mutex_);
  std::string standings_ ABSL_GUARDED_BY(mutex_);
  int64_t revision_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace keyferry::testing

#endif  // KEYFERRY_TESTS_INTEGRATION_RECORDING_LISTENER_H_
