#include "injector/agent/feed.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "injector/agent/protocol.h"

namespace keyferry::injector::agent {

Feed::Feed(std::string name, Options options) : name_(std::move(name)), options_(std::move(options)) {}

bool Feed::TooStale() const {
  return standing_ == Standing::kUnknown && options_.now() - stale_since_ > options_.max_stale;
}

Feed::Answer Feed::ForLaunch() const {
  if (standing_ == Standing::kRefused) return why_;
  if (!environment_.has_value()) return Waiting{absl::StrCat(name_, ": ", why_.message)};
  if (TooStale()) {
    return Waiting{absl::StrCat(name_, ": the values that are known are older than --max-stale (",
                                absl::FormatDuration(options_.max_stale), "): ", why_.message)};
  }
  return Ready{Frame(), environment_->revision};
}

std::optional<Feed::Ready> Feed::ForRunning() const {
  // Whoever says that they run has values already; whether it is true nobody can tell.
  if (!environment_.has_value() || standing_ == Standing::kRefused || TooStale()) return std::nullopt;
  return Ready{Frame(), environment_->revision};
}

SharedFrame Feed::Frame() const {
  if (frame_ == nullptr) {
    frame_ = std::make_shared<const client::SecretText>(EnvironmentFrame(*environment_, stale_since_));
  }
  return frame_;
}

void Feed::TakeEnvironment(ResolvedEnvironment environment) {
  environment_ = std::move(environment);
  standing_ = Standing::kCurrent;
  stale_since_ = absl::InfiniteFuture();
  Changed();
}

void Feed::TakeStanding(Standing standing, Failure why) {
  standing_ = standing;
  why_ = std::move(why);
  if (standing == Standing::kCurrent) {
    stale_since_ = absl::InfiniteFuture();
  } else if (stale_since_ == absl::InfiniteFuture()) {
    stale_since_ = options_.now();
  }
  Changed();
}

void Feed::Changed() {
  frame_ = nullptr;
  // An observer may go away while it is told.
  const std::vector<FeedObserver*> observers(observers_.begin(), observers_.end());
  for (FeedObserver* const observer : observers) {
    if (observers_.count(observer) > 0) observer->FeedChanged();
  }
}

void Feed::TakeLine(const std::string& line) {
  const std::vector<FeedObserver*> observers(observers_.begin(), observers_.end());
  for (FeedObserver* const observer : observers) {
    if (observers_.count(observer) > 0) observer->FeedSays(line);
  }
}

void Feed::ReportTo(ReportSink* sink) {
  sink_ = sink;
  reported_ = Held();
  Report();
}

void Feed::Holds(const void* holder, int64_t revision, int64_t pid) {
  held_[holder] = {revision, pid};
  Report();
}

void Feed::HoldsNothing(const void* holder) {
  held_.erase(holder);
  Report();
}

// One record at the server stands for all who share the feed: the one that is furthest behind speaks for it.
void Feed::Report() {
  if (sink_ == nullptr) return;
  if (held_.empty()) {
    if (std::exchange(reported_, Held()).revision != 0) sink_->NothingRuns();
    return;
  }
  Held oldest = held_.begin()->second;
  for (const auto& [holder, held] : held_) {
    if (held.revision < oldest.revision) oldest = held;
  }
  if (oldest.revision == reported_.revision && oldest.pid == reported_.pid) return;
  reported_ = oldest;
  sink_->Running(oldest.revision, oldest.pid);
}

}  // namespace keyferry::injector::agent
