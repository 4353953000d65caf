#include "injector/agent/feed_source.h"

#include <stdlib.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/retry.h"
#include "injector/exec/process_description.h"
#include "injector/source/backoff.h"
#include "injector/source/problem_lines.h"

namespace keyferry::injector::agent {
namespace {

// Launches learn after this that the server cannot be reached, and wait on.
constexpr absl::Duration kAttempt = absl::Seconds(5);
constexpr Backoff::Limits kBetweenAttempts = {absl::Milliseconds(500), absl::Seconds(15)};

}  // namespace

FeedSource::FeedSource(ServerAccess access, Inbox& inbox, Feed& feed, std::function<void(const std::string&)> log)
    : access_(std::move(access)), inbox_(inbox), feed_(feed), log_(std::move(log)), thread_([this] { Run(); }) {}

FeedSource::~FeedSource() {
  BeginStopping();
  thread_.join();
  feed_.ReportTo(nullptr);
}

void FeedSource::BeginStopping() {
  absl::MutexLock lock(&mutex_);
  stopping_ = true;
}

bool FeedSource::stopping() {
  absl::MutexLock lock(&mutex_);
  return stopping_;
}

void FeedSource::Run() {
  Backoff backoff(kBetweenAttempts, client::RetryEnvironment::Real().random);
  ProblemLines lines;
  std::unique_ptr<EnvironmentSource> source;
  while (!stopping()) {
    Failure failure;
    source = OpenOnce(&failure);
    if (source != nullptr) break;
    if (stopping()) return;
    if (lines.Allow(failure.message, absl::Now())) OnProblem(failure.message);
    const bool refused = failure.exit_code == kNotPermitted || failure.exit_code == kConfiguration;
    OnStanding(refused ? Standing::kRefused : Standing::kUnknown, std::move(failure));
    absl::MutexLock lock(&mutex_);
    mutex_.AwaitWithTimeout(absl::Condition(&stopping_), backoff.Next());
  }
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&stopping_));
}

std::unique_ptr<EnvironmentSource> FeedSource::OpenOnce(Failure* failure) {
  EnvironmentSource::Options options;
  options.startup_timeout = kAttempt;
  options.give_up = [this] { return stopping(); };
  ResolvedEnvironment first;
  std::unique_ptr<EnvironmentSource> source =
      EnvironmentSource::Open(access_, DescribeProcess(::getenv, kWatchedLease), std::move(options), &first, failure);
  if (source == nullptr) return nullptr;
  OnEnvironment(std::move(first));
  inbox_.Post([&feed = feed_, sink = source.get()] { feed.ReportTo(sink); });
  source->Start(this);
  return source;
}

void FeedSource::OnEnvironment(ResolvedEnvironment environment) {
  // The call must be copyable, and the environment is not.
  auto shared = std::make_shared<ResolvedEnvironment>(std::move(environment));
  inbox_.Post([&feed = feed_, shared] { feed.TakeEnvironment(std::move(*shared)); });
}

void FeedSource::OnProblem(std::string line) {
  inbox_.Post([&feed = feed_, log = log_, line = std::move(line)] {
    log(line);
    feed.TakeLine(line);
  });
}

void FeedSource::OnEnded(Failure failure) {
  OnProblem(absl::StrCat(failure.message, "; what runs keeps what it has, and nothing more is launched"));
}

void FeedSource::OnStanding(Standing standing, Failure why) {
  inbox_.Post([&feed = feed_, standing, why = std::move(why)] { feed.TakeStanding(standing, why); });
}

}  // namespace keyferry::injector::agent
