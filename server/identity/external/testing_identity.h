#ifndef KEYFERRY_SERVER_IDENTITY_EXTERNAL_TESTING_IDENTITY_H_
#define KEYFERRY_SERVER_IDENTITY_EXTERNAL_TESTING_IDENTITY_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "server/identity/external/key_reader.h"
#include "server/identity/external/key_source.h"
#include "server/identity/external/token_reviewer.h"
#include "server/log.h"

namespace keyferry::server {

// Testonly. Keeps every line.
class KeptLog : public Logger {
 public:
  bool Enabled(LogLevel) const override { return true; }
  void Write(LogLevel level, absl::string_view message, std::initializer_list<LogField> fields) override {
    absl::MutexLock lock(&mutex_);
    text_ += FormatLogLine("t", level, message, fields) + "\n";
  }
  void SetLevel(LogLevel) override {}
  // What was written since the last call.
  std::string Take() {
    absl::MutexLock lock(&mutex_);
    return std::exchange(text_, "");
  }

 private:
  absl::Mutex mutex_;
  std::string text_ ABSL_GUARDED_BY(mutex_);
};

// Testonly. What a KeyReader reads, set by the test; outlives the reader.
class FakeKeys {
 public:
  explicit FakeKeys(std::string text) : text_(std::move(text)) {}

  void Set(absl::StatusOr<std::string> text) {
    absl::MutexLock lock(&mutex_);
    text_ = std::move(text);
  }
  int reads() {
    absl::MutexLock lock(&mutex_);
    return reads_;
  }
  // From now on a reading lasts until it is stopped.
  void Block() {
    absl::MutexLock lock(&mutex_);
    blocked_ = true;
  }

  std::unique_ptr<KeyReader> MakeReader();

 private:
  class Reader;

  absl::Mutex mutex_;
  absl::StatusOr<std::string> text_ ABSL_GUARDED_BY(mutex_);
  int reads_ ABSL_GUARDED_BY(mutex_) = 0;
  bool blocked_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

// Testonly. Waits until the source has read once more; aborts if it may not.
void AwaitRead(KeySource* source);

// Testonly. Answers what the test says, when it says.
class FakeReviewer : public TokenReviewer {
 public:
  void Review(absl::string_view token, const std::string& subject, Done done) override {
    ++reviews;
    if (hold) {
      held.push_back(std::move(done));
      return;
    }
    done(answer);
  }

  int reviews = 0;
  absl::Status answer;
  bool hold = false;
  std::vector<Done> held;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_IDENTITY_EXTERNAL_TESTING_IDENTITY_H_
