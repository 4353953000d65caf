// Watches with threads, under concurrent changes.
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/watch/testing_watch.h"

namespace keyferry::server {
namespace {

constexpr int kWatchers = 40;
constexpr int kRotations = 60;
constexpr char kServer[] = "orgs/acme/mcpServers/m";

// Acknowledges from a thread of its own, and knows the newest version of each credential that came.
class RacingSink : public WatchSink {
 public:
  void Write(storage::Wiped<v1::WatchResponse> message) override {
    absl::MutexLock lock(&mutex_);
    EXPECT_FALSE(in_flight_);
    EXPECT_FALSE(ended_);
    in_flight_ = true;
    if (!message->has_environment()) return;
    EXPECT_GT(message->environment().revision(), revision_);
    revision_ = message->environment().revision();
    for (const v1::ResolvedVariable& variable : message->environment().variables()) {
      EXPECT_EQ(variable.value(), absl::StrCat("value ", variable.version()));
      EXPECT_GE(variable.version(), versions_[variable.variable()]) << "an older version after a newer one";
      versions_[variable.variable()] = variable.version();
    }
  }
  void Finish(const absl::Status&) override {
    absl::MutexLock lock(&mutex_);
    EXPECT_FALSE(ended_);
    ended_ = true;
  }
  // Whether there was a message in flight, which counts as written now.
  bool Acknowledge() {
    absl::MutexLock lock(&mutex_);
    return std::exchange(in_flight_, false);
  }
  bool Has(int64_t version) {
    absl::MutexLock lock(&mutex_);
    return versions_["A"] == version && versions_["B"] == version;
  }
  bool ended() {
    absl::MutexLock lock(&mutex_);
    return ended_;
  }

 private:
  absl::Mutex mutex_;
  bool in_flight_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t revision_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, int64_t> versions_ ABSL_GUARDED_BY(mutex_);
};

class WatchRaceTest : public testing::TestWithParam<storage::EngineKind> {};

INSTANTIATE_TEST_SUITE_P(Engines, WatchRaceTest,
                         testing::Values(storage::EngineKind::kMemory, storage::EngineKind::kRocksDb),
                         [](const auto& info) { return storage::EngineName(info.param); });

TEST_P(WatchRaceTest, NoOlderVersionFollowsANewerOneAndTheNewestArrives) {
  WatchOptions options;
  options.default_debounce = absl::ZeroDuration();
  WatchWorld w(GetParam(), options);
  for (const char* id : {"A", "B"}) w.world.Create(w.world.As("root"), "orgs/acme", id, "value 1");
  w.Apply(kServer, {"A=A", "B=B"});

  std::vector<RacingSink> sinks(kWatchers);
  std::vector<std::atomic<WatchId>> ids(kWatchers);
  std::atomic<bool> stop{false};
  std::thread acknowledger([&] {
    while (!stop) {
      for (int i = 0; i < kWatchers; ++i) {
        if (ids[i] != 0 && sinks[i].Acknowledge()) w.hub->OnWritten(ids[i], /*written=*/true);
      }
      std::this_thread::yield();
    }
  });
  v1::WatchRequest request;
  request.mutable_resolve()->set_mcp_server(kServer);
  Caller caller = w.world.As("ada");
  caller.token_hash = "ada";
  const auto open = [&](int i) {
    const auto id = w.hub->Open(caller, request, &sinks[i]);
    ASSERT_TRUE(id.ok()) << id.status();
    ids[i] = *id;
  };
  // Half of them open while values change.
  for (int i = 0; i < kWatchers / 2; ++i) open(i);
  std::vector<std::thread> rotators;
  for (const char* id : {"A", "B"}) {
    rotators.emplace_back([&w, id] {
      for (int i = 2; i <= kRotations; ++i)
        w.Rotate(absl::StrCat("orgs/acme/credentials/", id), absl::StrCat("value ", i));
    });
  }
  for (int i = kWatchers / 2; i < kWatchers; ++i) open(i);
  for (std::thread& rotator : rotators) rotator.join();
  for (RacingSink& sink : sinks) {
    while (!sink.Has(kRotations)) std::this_thread::yield();
  }
  // Ends from three sides at once.
  std::thread canceller([&] {
    for (int i = 0; i < kWatchers; i += 2) w.hub->Cancel(ids[i]);
  });
  w.Rotate("orgs/acme/credentials/A", "value 61");
  w.hub->Drain();
  canceller.join();
  for (RacingSink& sink : sinks) {
    while (!sink.ended()) std::this_thread::yield();
  }
  stop = true;
  acknowledger.join();
  EXPECT_EQ(w.hub->open(), 0);
}

}  // namespace
}  // namespace keyferry::server
