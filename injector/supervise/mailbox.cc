#include "injector/supervise/mailbox.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"

namespace keyferry::injector {
namespace {

// Older lines are dropped beyond it: the loop is stopped, and nobody reads.
constexpr size_t kMostLines = 64;

}  // namespace

Mailbox::Mailbox() : event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void Mailbox::Wake() {
  const uint64_t one = 1;
  // Fails only if the counter is full, and then it is readable anyway.
  if (write(event_.get(), &one, sizeof(one)) < 0) return;
}

void Mailbox::OnEnvironment(ResolvedEnvironment environment) {
  {
    absl::MutexLock lock(&mutex_);
    content_.environment = std::move(environment);
  }
  Wake();
}

void Mailbox::OnProblem(std::string line) {
  {
    absl::MutexLock lock(&mutex_);
    if (content_.lines.size() >= kMostLines) content_.lines.erase(content_.lines.begin());
    content_.lines.push_back(std::move(line));
  }
  Wake();
}

void Mailbox::OnEnded(Failure failure) {
  OnProblem(absl::StrCat(failure.message, "; the command goes on with what it has"));
}

Mailbox::Content Mailbox::Take() {
  uint64_t count;
  if (read(event_.get(), &count, sizeof(count)) < 0) count = 0;
  absl::MutexLock lock(&mutex_);
  return std::exchange(content_, {});
}

}  // namespace keyferry::injector
