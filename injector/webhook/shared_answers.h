#ifndef KEYFERRY_INJECTOR_WEBHOOK_SHARED_ANSWERS_H_
#define KEYFERRY_INJECTOR_WEBHOOK_SHARED_ANSWERS_H_

#include <cstddef>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"

namespace keyferry::injector::webhook {

// Answers to questions that several ask at once and that take long: a question that is under way is waited for rather
// than asked again, and its answer holds for a while. Thread-safe.
template <typename Answer>
class SharedAnswers {
 public:
  // How long an answer holds, from when it came.
  struct Times {
    absl::Duration success;
    absl::Duration failure;
  };

  // A question, and its answer once it has come.
  class Question {
   public:
    // DEADLINE_EXCEEDED if it has not come by then.
    absl::StatusOr<Answer> Await(absl::Time deadline) const {
      if (settled_.WaitForNotificationWithDeadline(deadline)) return answer_;
      return absl::DeadlineExceededError("the server did not answer in time");
    }

   private:
    friend class SharedAnswers;

    // Written before it is settled.
    absl::StatusOr<Answer> answer_;
    absl::Time until_;
    absl::Notification settled_;
  };

  // Takes the answer; to be called once, on any thread, even after the SharedAnswers are gone.
  using Settle = std::function<void(absl::StatusOr<Answer> answer)>;

  SharedAnswers(const Times& times, std::function<absl::Time()> clock) : times_(times), clock_(std::move(clock)) {}

  // The question of that key. `begin` is called if it is not under way, and no answer holds; it must not wait.
  std::shared_ptr<const Question> Ask(const std::string& key, absl::FunctionRef<void(Settle settle)> begin)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    const auto question = std::make_shared<Question>();
    {
      absl::MutexLock lock(&mutex_);
      std::shared_ptr<Question>& known = questions_[key];
      if (known != nullptr && !Over(*known)) return known;
      known = question;
      if (questions_.size() > kMost) DropSettled();
    }
    begin([question, times = times_, clock = clock_](absl::StatusOr<Answer> answer) {
      question->until_ = clock() + (answer.ok() ? times.success : times.failure);
      question->answer_ = std::move(answer);
      question->settled_.Notify();
    });
    return question;
  }

 private:
  // Far more than are under way at once.
  static constexpr size_t kMost = 2000;

  bool Over(const Question& question) const {
    return question.settled_.HasBeenNotified() && clock_() >= question.until_;
  }

  void DropSettled() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    for (auto at = questions_.begin(); at != questions_.end();) {
      at = at->second->settled_.HasBeenNotified() ? questions_.erase(at) : std::next(at);
    }
  }

  const Times times_;
  const std::function<absl::Time()> clock_;
  absl::Mutex mutex_;
  std::map<std::string, std::shared_ptr<Question>> questions_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_SHARED_ANSWERS_H_
