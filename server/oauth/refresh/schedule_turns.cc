// Who runs next: the turns of organizations and providers, their shares, rates and pauses.
#include <algorithm>

#include "server/oauth/refresh/schedule.h"

namespace keyferry::server {
namespace {

constexpr double kDefaultPerSecond = 10;
constexpr double kMostPerSecond = 1000;
constexpr size_t kHealthyPart = 4;
constexpr size_t kAilingPart = 16;

absl::Duration SpacingOf(double max_per_second) {
  const double rate = max_per_second > 0 ? std::min(max_per_second, kMostPerSecond) : kDefaultPerSecond;
  return absl::Seconds(1) / rate;
}

}  // namespace

std::optional<Schedule::Index> Schedule::PopFrom(uint32_t number, bool urgent) {
  Line& line = *lines_[number];
  for (const auto& [queue, state] : {std::make_pair(&line.urgent, State::kUrgent), {&line.ready, State::kReady}}) {
    if (urgent && state != State::kUrgent) break;
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

size_t Schedule::Share() const { return std::max<size_t>(max_running_ / (active_orgs_ + 1), 1); }

absl::Time Schedule::SlotOf(const Line& line) const {
  return line.urgent.empty() ? std::max(line.next_slot, line.paused_until) : line.next_slot;
}

void Schedule::AddRunning(Org& org, int by) {
  const bool was_active = org.running > 0 || org.in_turns;
  org.running += static_cast<size_t>(by);
  const bool is_active = org.running > 0 || org.in_turns;
  if (was_active != is_active) active_orgs_ += is_active ? 1 : -1;
}

void Schedule::SetInTurns(Org& org, bool in_turns) {
  if (org.running == 0 && org.in_turns != in_turns) active_orgs_ += in_turns ? 1 : -1;
  org.in_turns = in_turns;
}

void Schedule::Place(uint32_t number, absl::Time monotonic_now) {
  Line& line = *lines_[number];
  if (line.place != Line::kNowhere || (line.urgent.empty() && line.ready.empty())) return;
  if (line.running >= PlacesOf(line)) return;
  line.slot = SlotOf(line);
  if (line.slot > monotonic_now) {
    line.place = Line::kInSlots;
    slots_.insert({line.slot, number});
    return;
  }
  line.place = Line::kInTurns;
  Org& org = *orgs_[line.org];
  org.turns.push_back(number);
  if (org.in_turns) return;
  SetInTurns(org, true);
  org_turns_.push_back(line.org);
}

void Schedule::Replace(uint32_t number, absl::Time monotonic_now) {
  Line& line = *lines_[number];
  if (line.place == Line::kInSlots) {
    slots_.erase({line.slot, number});
    line.place = Line::kNowhere;
  }
  Place(number, monotonic_now);
}

std::optional<Schedule::Index> Schedule::AdmitFrom(Org& org, absl::Time monotonic_now) {
  while (!org.turns.empty()) {
    const uint32_t number = org.turns.front();
    org.turns.pop_front();
    Line& line = *lines_[number];
    line.place = Line::kNowhere;
    // It may have been paused since it was given its turn.
    const std::optional<Index> next = PopFrom(number, /*urgent=*/line.paused_until > monotonic_now);
    if (next.has_value()) {
      SetState(*next, State::kRunning);
      ++line.running;
      line.last = next;
      line.next_slot = monotonic_now + line.spacing;
    }
    Place(number, monotonic_now);
    if (next.has_value()) return next;
  }
  return std::nullopt;
}

std::optional<Schedule::Index> Schedule::Admit(absl::Time monotonic_now) {
  while (!slots_.empty() && slots_.begin()->first <= monotonic_now) Replace(slots_.begin()->second, monotonic_now);
  // Those that have their share keep their turns.
  size_t passed = 0;
  while (running_ < max_running_ && passed < org_turns_.size()) {
    const uint32_t number = org_turns_.front();
    Org& org = *orgs_[number];
    org_turns_.pop_front();
    std::optional<Index> next;
    if (org.running < Share()) {
      next = AdmitFrom(org, monotonic_now);
      if (next.has_value()) AddRunning(org, 1);
    } else {
      ++passed;
    }
    if (org.turns.empty()) {
      SetInTurns(org, false);
    } else {
      org_turns_.push_back(number);
    }
    if (next.has_value()) return next;
  }
  return std::nullopt;
}

void Schedule::End(Index index, State state, bool asked, std::optional<bool> answers, absl::Time monotonic_now) {
  const uint32_t number = entries_[index].line;
  Line& line = *lines_[number];
  --line.running;
  AddRunning(*orgs_[line.org], -1);
  SetState(index, state);
  if (answers.has_value()) line.ailing = !*answers;
  // If another has run since, its distance to the next must stay.
  if (!asked && line.last == index) {
    line.next_slot -= line.spacing;
    line.last.reset();
  }
  Replace(number, monotonic_now);
}

absl::Time Schedule::NextSlot() const {
  if (running_ >= max_running_) return absl::InfiniteFuture();
  const auto has_room = [this, share = Share()](uint32_t org) { return orgs_[org]->running < share; };
  if (std::any_of(org_turns_.begin(), org_turns_.end(), has_room)) return absl::InfinitePast();
  return slots_.empty() ? absl::InfiniteFuture() : slots_.begin()->first;
}

void Schedule::Pause(uint32_t number, absl::Time until, absl::Time monotonic_now) {
  Line& line = *lines_[number];
  if (until <= monotonic_now || until <= line.paused_until) return;
  line.paused_until = until;
  Replace(number, monotonic_now);
}

void Schedule::SetProvider(uint32_t number, double max_per_second, int64_t update_time, absl::Time monotonic_now) {
  Line& line = *lines_[number];
  // What the provider asked for may not be what is asked there now.
  if (line.update_time != 0 && line.update_time != update_time) line.paused_until = absl::InfinitePast();
  line.spacing = SpacingOf(max_per_second);
  line.update_time = update_time;
  line.next_slot = std::min(line.next_slot, monotonic_now + line.spacing);
  Replace(number, monotonic_now);
}

}  // namespace keyferry::server
