#include "injector/agent/testing/test_agent.h"

#include <stdlib.h>

#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "client/secret_text.h"

namespace keyferry::testing {
namespace {

using injector::agent::Agent;
using injector::agent::Feed;

constexpr absl::Duration kPatience = absl::Seconds(30);

}  // namespace

injector::ResolvedEnvironment EnvironmentOf(const std::vector<std::pair<std::string, std::string>>& variables,
                                            int64_t revision) {
  injector::ResolvedEnvironment environment;
  environment.revision = revision;
  for (const auto& [name, value] : variables) {
    injector::ResolvedValue& variable = environment.variables.emplace_back();
    variable.name = name;
    variable.value = client::SecretText(value.size());
    std::copy(value.begin(), value.end(), variable.value.ExposeMutable());
    variable.credential = absl::StrCat("orgs/acme/credentials/", name);
    variable.version = revision;
  }
  return environment;
}

ScratchDirectory::ScratchDirectory() {
  // Socket paths are short, and the test's own directory need not be.
  std::string pattern = "/tmp/kfagentXXXXXX";
  path_ = mkdtemp(pattern.data());
}

ScratchDirectory::~ScratchDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

TestAgent::TestAgent()
    : loop_(injector::EventLoop::Create()), inbox_(std::make_unique<injector::agent::Inbox>(*loop_)) {
  agent_ = std::make_unique<Agent>(*loop_, [this](const std::string& line) {
    absl::MutexLock lock(&mutex_);
    absl::StrAppend(&log_, line, "\n");
  });
  thread_ = std::thread([this] {
    while (!stop_) loop_->RunOnce();
    agent_.reset();
  });
}

TestAgent::~TestAgent() {
  inbox_->Post([this] { stop_ = true; });
  thread_.join();
}

void TestAgent::Do(const std::function<void()>& call) {
  absl::Notification done;
  inbox_->Post([&] {
    call();
    done.Notify();
  });
  done.WaitForNotification();
}

absl::Status TestAgent::Serve(const std::string& name, const std::string& directory, std::optional<uid_t> uid) {
  absl::Status status;
  Do([&] {
    std::unique_ptr<Feed>& feed = feeds_[name];
    feed = std::make_unique<Feed>(name, Feed::Options{absl::Hours(1), [this] { return now_; }});
    feed->ReportTo(this);
    status = agent_->Serve({name, directory, uid, feed.get()});
  });
  return status;
}

absl::Status TestAgent::Share(const std::string& name, const std::string& other, const std::string& directory) {
  absl::Status status;
  Do([&] { status = agent_->Serve({other, directory, std::nullopt, feeds_[name].get()}); });
  return status;
}

absl::Status TestAgent::Control(const std::string& directory) {
  absl::Status status;
  Do([&] { status = agent_->Control(directory); });
  return status;
}

void TestAgent::Give(const std::string& name, const std::vector<std::pair<std::string, std::string>>& variables,
                     int64_t revision) {
  Do([&] { feeds_[name]->TakeEnvironment(EnvironmentOf(variables, revision)); });
}

void TestAgent::Stand(const std::string& name, injector::Standing standing, injector::Failure why) {
  Do([&] { feeds_[name]->TakeStanding(standing, why); });
}

void TestAgent::Advance(absl::Duration time) {
  Do([&] { now_ += time; });
}

void TestAgent::Drain(absl::Duration grace) {
  Do([&] { agent_->Drain(grace); });
}

bool TestAgent::ended() {
  bool ended = false;
  Do([&] { ended = agent_->ended(); });
  return ended;
}

std::string TestAgent::Log() {
  absl::MutexLock lock(&mutex_);
  return log_;
}

bool TestAgent::AwaitLog(const std::string& text) {
  const auto there = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return absl::StrContains(log_, text); };
  absl::MutexLock lock(&mutex_);
  return mutex_.AwaitWithTimeout(absl::Condition(&there), kPatience);
}

std::string TestAgent::AwaitReport(const std::string& report) {
  const auto there = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return report_ == report; };
  absl::MutexLock lock(&mutex_);
  mutex_.AwaitWithTimeout(absl::Condition(&there), kPatience);
  return report_;
}

std::string TestAgent::LastReport() {
  absl::MutexLock lock(&mutex_);
  return report_;
}

void TestAgent::Running(int64_t revision, int64_t pid) {
  absl::MutexLock lock(&mutex_);
  report_ = absl::StrCat(revision, " ", pid);
}

}  // namespace keyferry::testing
