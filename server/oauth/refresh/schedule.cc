#include "server/oauth/refresh/schedule.h"

#include <algorithm>
#include <limits>

namespace keyferry::server {
namespace {

constexpr size_t kCompactFrom = 1024;
constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

}  // namespace

Schedule::Index Schedule::IndexQueue::Pop() {
  const Index index = items_[head_++];
  if (head_ == items_.size()) {
    // With its memory, of which an outage may have taken much.
    std::vector<Index>().swap(items_);
    head_ = 0;
  } else if (head_ >= kCompactFrom && head_ * 2 >= items_.size()) {
    items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(head_));
    head_ = 0;
  }
  return index;
}

Schedule::Schedule(size_t max_running) : max_running_(max_running) {}

Schedule::Index Schedule::Add(const storage::WatchKey& watch_key, const ConnectionKey& key) {
  Index index = static_cast<Index>(entries_.size());
  if (free_.empty()) {
    entries_.emplace_back();
  } else {
    index = free_.back();
    free_.pop_back();
  }
  Entry& entry = entries_[index];
  entry = Entry();
  entry.key = watch_key;
  entry.parent = key.parent;
  entry.parent.shrink_to_fit();
  entry.line = LineOf(key.org, key.provider);
  entry.state = State::kIdle;
  entry.due = kNever;
  by_key_[watch_key] = index;
  return index;
}

void Schedule::Remove(Index index) {
  Entry& entry = entries_[index];
  due_.erase({entry.due, index});
  SetState(index, State::kFree);
  by_key_.erase(entry.key);
  entry = Entry();
  free_.push_back(index);
}

std::optional<Schedule::Index> Schedule::Find(const storage::WatchKey& watch_key) const {
  const auto found = by_key_.find(watch_key);
  if (found == by_key_.end()) return std::nullopt;
  return found->second;
}

ConnectionKey Schedule::KeyOf(Index index) const {
  const Entry& entry = entries_[index];
  return {OrgOf(entry.line), entry.parent, lines_[entry.line]->provider};
}

void Schedule::ForEach(const std::function<void(Index, const Entry&)>& visit) const {
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].state != State::kFree) visit(static_cast<Index>(i), entries_[i]);
  }
}

void Schedule::SetDue(Index index, absl::Time due) {
  Entry& entry = entries_[index];
  due_.erase({entry.due, index});
  entry.due = due == absl::InfiniteFuture() ? kNever : absl::ToUnixNanos(due);
  if (entry.due != kNever) due_.insert({entry.due, index});
}

void Schedule::SetState(Index index, State state) {
  State& current = entries_[index].state;
  const auto counter = [this](State of) -> size_t* {
    if (of == State::kReady || of == State::kUrgent) return &ready_;
    if (of == State::kRunning) return &running_;
    return of == State::kWaiting ? &waiting_ : nullptr;
  };
  if (size_t* const left = counter(current)) --*left;
  if (size_t* const entered = counter(state)) ++*entered;
  current = state;
}

void Schedule::Enqueue(Index index, bool urgent, absl::Time monotonic_now) {
  Entry& entry = entries_[index];
  const State wanted = urgent ? State::kUrgent : State::kReady;
  if (entry.state == wanted || entry.state == State::kUrgent || entry.state == State::kRunning) return;
  due_.erase({entry.due, index});
  SetState(index, wanted);
  Line& line = *lines_[entry.line];
  (urgent ? line.urgent : line.ready).Push(index);
  // What is urgent does not wait for the end of a pause.
  Replace(entry.line, monotonic_now);
}

void Schedule::FireDue(absl::Time wall_now, absl::Time monotonic_now) {
  const int64_t now = absl::ToUnixNanos(wall_now);
  while (!due_.empty() && due_.begin()->first <= now) {
    const Index index = due_.begin()->second;
    due_.erase(due_.begin());
    Enqueue(index, /*urgent=*/false, monotonic_now);
  }
}

bool Schedule::IsStale(Index index, uint32_t line, State expected) const {
  // Made urgent, or removed, and perhaps used for another, since it was pushed.
  return entries_[index].state != expected || entries_[index].line != line;
}

absl::Time Schedule::NextDue() const {
  return due_.empty() ? absl::InfiniteFuture() : absl::FromUnixNanos(due_.begin()->first);
}

uint32_t Schedule::OrgNumber(const std::string& org) {
  const auto [found, added] = org_of_.try_emplace(org, static_cast<uint32_t>(orgs_.size()));
  if (added) {
    orgs_.push_back(std::make_unique<Org>());
    orgs_.back()->name = org;
  }
  return found->second;
}

uint32_t Schedule::LineOf(const std::string& org, const std::string& provider) {
  const auto [found, added] = line_of_.try_emplace({org, provider}, static_cast<uint32_t>(lines_.size()));
  if (added) {
    lines_.push_back(std::make_unique<Line>());
    lines_.back()->org = OrgNumber(org);
    lines_.back()->provider = provider;
    SetProvider(found->second, /*max_per_second=*/0, /*update_time=*/0, absl::InfinitePast());
  }
  return found->second;
}

std::optional<uint32_t> Schedule::FindLine(const std::string& org, const std::string& provider) const {
  const auto found = line_of_.find({org, provider});
  if (found == line_of_.end()) return std::nullopt;
  return found->second;
}

}  // namespace keyferry::server
