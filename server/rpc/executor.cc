#include "server/rpc/executor.h"

#include <algorithm>
#include <utility>

namespace keyferry::server {
namespace {

size_t AtLeastOne(size_t asked, size_t otherwise) { return std::max<size_t>(1, asked == 0 ? otherwise : asked); }

}  // namespace

Executor::Executor(const Options& options)
    : max_queued_(options.max_queued),
      max_running_per_group_(AtLeastOne(options.max_running_per_group, options.threads - options.threads / 4)),
      max_queued_per_group_(AtLeastOne(options.max_queued_per_group, options.max_queued / 2)) {
  threads_.reserve(options.threads);
  for (size_t i = 0; i < options.threads; ++i) threads_.emplace_back([this] { RunWorker(); });
}

Executor::~Executor() {
  {
    absl::MutexLock lock(&mutex_);
    ending_ = true;
  }
  for (std::thread& thread : threads_) thread.join();
}

bool Executor::TryRun(const std::string& group_name, std::function<void()> work) {
  absl::MutexLock lock(&mutex_);
  if (ending_ || queued_ >= max_queued_) {
    ++refused_;
    return false;
  }
  Group& group = groups_[group_name];
  if (group.waiting.size() >= max_queued_per_group_) {
    ++refused_;
    return false;
  }
  if (group.name.empty()) group.name = group_name;
  group.waiting.push_back(std::move(work));
  ++queued_;
  Settle(&group);
  return true;
}

size_t Executor::queued() const {
  absl::MutexLock lock(&mutex_);
  return queued_;
}

uint64_t Executor::refused() const {
  absl::MutexLock lock(&mutex_);
  return refused_;
}

void Executor::Settle(Group* group) {
  if (group->has_turn) return;
  if (!group->waiting.empty()) {
    if (group->running >= max_running_per_group_) return;
    group->has_turn = true;
    turns_.push_back(group);
  } else if (group->running == 0) {
    groups_.erase(groups_.find(group->name));
  }
}

void Executor::RunWorker() {
  Group* group = nullptr;
  while (true) {
    std::function<void()> work;
    {
      absl::MutexLock lock(&mutex_);
      if (group != nullptr) {
        --group->running;
        Settle(group);
      }
      mutex_.Await(absl::Condition(this, &Executor::HasWorkOrEnds));
      if (turns_.empty()) return;
      group = turns_.front();
      turns_.pop_front();
      group->has_turn = false;
      work = std::move(group->waiting.front());
      group->waiting.pop_front();
      --queued_;
      ++group->running;
      Settle(group);
    }
    work();
  }
}

}  // namespace keyferry::server
