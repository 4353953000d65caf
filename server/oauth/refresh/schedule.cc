#include "server/oauth/refresh/schedule.h"

#include <algorithm>
#include <limits>

namespace keyferry::server {
namespace {

constexpr double kDefaultPerSecond = 10;
constexpr double kMostPerSecond = 1000;
constexpr size_t kHealthyPart = 4;
constexpr size_t kAilingPart = 16;
constexpr size_t kCompactFrom = 1024;
constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

absl::Duration SpacingOf(double max_per_second) {
  const double rate = max_per_second > 0 ? std::min(max_per_second, kMostPerSecond) : kDefaultPerSecond;
  return absl::Seconds(1) / rate;
}

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
  return {lines_[entry.line]->org, entry.parent, lines_[entry.line]->provider};
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
  Place(entry.line, monotonic_now);
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

std::optional<Schedule::Index> Schedule::PopFrom(uint32_t number) {
  Line& line = *lines_[number];
  for (const auto& [queue, state] : {std::make_pair(&line.urgent, State::kUrgent), {&line.ready, State::kReady}}) {
    while (!queue->empty()) {
      const Index index = queue->Pop();
      if (!IsStale(index, number, state)) return index;
    }
  }
  return std::nullopt;
}

size_t Schedule::PlacesOf(const Line& line) const {
  return std::max<size_t>(max_running_ / (line.ailing ? kAilingPart : kHealthyPart), 1);
}

void Schedule::Place(uint32_t number, absl::Time monotonic_now) {
  Line& line = *lines_[number];
  if (line.place != Line::kNowhere || (line.urgent.empty() && line.ready.empty())) return;
  if (line.running >= PlacesOf(line)) return;
  if (line.next_slot > monotonic_now) {
    line.place = Line::kInSlots;
    slots_.insert({line.next_slot, number});
  } else {
    line.place = Line::kInTurns;
    turns_.push_back(number);
  }
}

std::optional<Schedule::Index> Schedule::Admit(absl::Time monotonic_now) {
  while (!slots_.empty() && slots_.begin()->first <= monotonic_now) {
    const uint32_t number = slots_.begin()->second;
    slots_.erase(slots_.begin());
    lines_[number]->place = Line::kNowhere;
    Place(number, monotonic_now);
  }
  while (running_ < max_running_ && !turns_.empty()) {
    const uint32_t number = turns_.front();
    turns_.pop_front();
    Line& line = *lines_[number];
    line.place = Line::kNowhere;
    const std::optional<Index> next = PopFrom(number);
    if (!next.has_value()) continue;
    SetState(*next, State::kRunning);
    ++line.running;
    line.last = next;
    line.next_slot = monotonic_now + line.spacing;
    Place(number, monotonic_now);
    return next;
  }
  return std::nullopt;
}

void Schedule::End(Index index, State state, bool asked, std::optional<bool> answers, absl::Time monotonic_now) {
  const uint32_t number = entries_[index].line;
  Line& line = *lines_[number];
  --line.running;
  SetState(index, state);
  if (answers.has_value()) line.ailing = !*answers;
  // If another has run since, its distance to the next must stay.
  if (!asked && line.last == index) {
    if (line.place == Line::kInSlots) {
      slots_.erase({line.next_slot, number});
      line.place = Line::kNowhere;
    }
    line.next_slot -= line.spacing;
    line.last.reset();
  }
  Place(number, monotonic_now);
}

absl::Time Schedule::NextDue() const {
  return due_.empty() ? absl::InfiniteFuture() : absl::FromUnixNanos(due_.begin()->first);
}

absl::Time Schedule::NextSlot() const {
  if (running_ >= max_running_) return absl::InfiniteFuture();
  if (!turns_.empty()) return absl::InfinitePast();
  return slots_.empty() ? absl::InfiniteFuture() : slots_.begin()->first;
}

uint32_t Schedule::LineOf(const std::string& org, const std::string& provider) {
  const auto [found, added] = line_of_.try_emplace({org, provider}, static_cast<uint32_t>(lines_.size()));
  if (added) {
    lines_.push_back(std::make_unique<Line>());
    lines_.back()->org = org;
    lines_.back()->provider = provider;
    lines_.back()->spacing = SpacingOf(0);
  }
  return found->second;
}

std::optional<uint32_t> Schedule::FindLine(const std::string& org, const std::string& provider) const {
  const auto found = line_of_.find({org, provider});
  if (found == line_of_.end()) return std::nullopt;
  return found->second;
}

void Schedule::SetProvider(uint32_t number, double max_per_second, int64_t update_time, absl::Time monotonic_now) {
  Line& line = *lines_[number];
  line.spacing = SpacingOf(max_per_second);
  line.update_time = update_time;
  if (line.next_slot > monotonic_now + line.spacing) {
    if (line.place == Line::kInSlots) {
      slots_.erase({line.next_slot, number});
      line.place = Line::kNowhere;
    }
    line.next_slot = monotonic_now + line.spacing;
    Place(number, monotonic_now);
  }
}

}  // namespace keyferry::server
