#ifndef KEYFERRY_INJECTOR_SUPERVISE_MAILBOX_H_
#define KEYFERRY_INJECTOR_SUPERVISE_MAILBOX_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "injector/source/resolved_environment.h"
#include "injector/supervise/descriptor.h"

namespace keyferry::injector {

// Carries what the source's threads say into the loop. Thread-safe. Environments that nobody took yet give way to newer
// ones.
class Mailbox : public EnvironmentListener {
 public:
  struct Content {
    std::optional<ResolvedEnvironment> environment;
    // For standard error, in order.
    std::vector<std::string> lines;
  };

  Mailbox();
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  void OnEnvironment(ResolvedEnvironment environment) override;
  void OnProblem(std::string line) override;
  void OnEnded(Failure failure) override;

  // Readable when there is something to take.
  int descriptor() const { return event_.get(); }
  Content Take();

 private:
  void Wake();

  const Descriptor event_;
  absl::Mutex mutex_;
  Content content_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_SUPERVISE_MAILBOX_H_
