#include "server/audit/audit_stream.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "server/audit/audit_retention.h"
#include "server/credentials/testing_world.h"
#include "storage/testing_store.h"

namespace keyferry::server {
namespace {

using storage::EngineKind;

class AuditStreamTest : public testing::TestWithParam<EngineKind> {
 protected:
  void Log(const std::string& method, const std::string& org = "acme") {
    CallRecord record;
    record.org = org;
    record.entry.set_method(method);
    record.entry.mutable_time()->set_seconds(absl::ToUnixSeconds(world_.now));
    ASSERT_TRUE(world_.audit->Store(record).ok());
  }
  absl::Status StartStream() {
    AuditStream::Options options;
    options.target = path_;
    options.background = false;
    auto started = AuditStream::Start(world_.store.get(), world_.audit.get(), /*logger=*/nullptr, options);
    if (started.ok()) stream_ = *std::move(started);
    return started.status();
  }
  // What kill -9 and a new start do.
  void Restart() {
    world_.usage.reset();
    world_.audit.reset();
    stream_.reset();
    world_.Restart();
    ASSERT_TRUE(StartStream().ok());
  }
  // Writes what is there; entries that no view shows yet are waited for.
  void Stream() {
    ASSERT_TRUE(world_.store->Sync().ok());
    const absl::Status ran = stream_->RunOnce();
    ASSERT_TRUE(ran.ok()) << ran;
  }
  // "acme/1 S/A, acme/2 S/B" of the file's lines.
  static std::string Lines(const std::string& path) {
    std::ifstream file(path);
    std::vector<std::string> found;
    for (std::string line; std::getline(file, line);) {
      const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
      if (!json.is_object()) {
        found.push_back("(not JSON)");
        continue;
      }
      found.push_back(
          absl::StrCat(json.value("org", "?"), "/", json.value("sequence", "?"), " ", json.value("method", "?")));
    }
    return absl::StrJoin(found, ", ");
  }
  std::string Lines() const { return Lines(path_); }

  World world_{GetParam()};
  const std::string directory_ = storage::MakeTestDirectory();
  const std::string path_ = directory_ + "/audit.jsonl";
  std::unique_ptr<AuditStream> stream_;
};

INSTANTIATE_TEST_SUITE_P(Engines, AuditStreamTest, testing::Values(EngineKind::kMemory, EngineKind::kRocksDb),
                         [](const auto& info) { return storage::EngineName(info.param); });

TEST_P(AuditStreamTest, WritesEveryEntryOnceInOrder) {
  Log("S/Before");
  ASSERT_TRUE(StartStream().ok());
  Log("S/A");
  Stream();
  EXPECT_EQ(Lines(), "acme/1 S/Before, acme/2 S/A");
  Log("S/B", "other");
  Log("S/Unknown", "");
  Stream();
  Stream();
  EXPECT_EQ(Lines(), "acme/1 S/Before, acme/2 S/A, /1 S/Unknown, other/1 S/B");
  struct stat info = {};
  ASSERT_EQ(stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_P(AuditStreamTest, GoesOnAfterARestartWithoutLossOrDoubles) {
  ASSERT_TRUE(StartStream().ok());
  Log("S/A");
  Stream();
  Restart();
  Log("S/B");
  Stream();
  Log("S/C");  // Not written when the process ends.
  Restart();
  Stream();
  EXPECT_EQ(Lines(), "acme/1 S/A, acme/2 S/B, acme/3 S/C");
}

TEST_P(AuditStreamTest, ALineThatWasCutShortComesAgain) {
  ASSERT_TRUE(StartStream().ok());
  Log("S/A");
  Log("S/B");
  Stream();
  struct stat info = {};
  ASSERT_EQ(stat(path_.c_str(), &info), 0);
  ASSERT_EQ(truncate(path_.c_str(), info.st_size - 7), 0);
  Restart();
  Stream();
  EXPECT_EQ(Lines(), "acme/1 S/A, acme/2 S/B");
}

TEST_P(AuditStreamTest, ARotatedFileIsFollowedByANewOne) {
  ASSERT_TRUE(StartStream().ok());
  Log("S/A");
  Stream();
  const std::string old = path_ + ".1";
  ASSERT_EQ(rename(path_.c_str(), old.c_str()), 0);
  Log("S/B");
  Stream();
  EXPECT_EQ(Lines(old), "acme/1 S/A, acme/2 S/B") << "until it is told";
  stream_->Reopen();
  Log("S/C");
  Stream();
  EXPECT_EQ(Lines(old), "acme/1 S/A, acme/2 S/B");
  EXPECT_EQ(Lines(), "acme/3 S/C");
  Restart();
  Log("S/D");
  Stream();
  EXPECT_EQ(Lines(), "acme/3 S/C, acme/4 S/D");
  // Rotated while the server was stopped.
  ASSERT_EQ(rename(path_.c_str(), (path_ + ".2").c_str()), 0);
  Restart();
  Log("S/E");
  Stream();
  EXPECT_TRUE(absl::EndsWith(Lines(), "acme/5 S/E")) << Lines();
}

TEST_P(AuditStreamTest, AFailingSinkLosesNothing) {
  ASSERT_TRUE(StartStream().ok());
  Log("S/A");
  Stream();
  // The directory goes away with the file.
  const std::string away = directory_ + "-away";
  ASSERT_EQ(rename(directory_.c_str(), away.c_str()), 0);
  stream_->Reopen();
  Log("S/B");
  ASSERT_TRUE(world_.store->Sync().ok());
  EXPECT_FALSE(stream_->RunOnce().ok());
  Log("S/C");
  EXPECT_FALSE(stream_->RunOnce().ok());
  ASSERT_EQ(rename(away.c_str(), directory_.c_str()), 0);
  Stream();
  EXPECT_EQ(Lines(), "acme/1 S/A, acme/2 S/B, acme/3 S/C");
}

TEST_P(AuditStreamTest, AnOrgThatIsMadeAgainBeginsAnew) {
  ASSERT_TRUE(StartStream().ok());
  Log("S/A", "other");
  Log("S/B", "other");
  Stream();
  ASSERT_TRUE(world_.store->DestroyOrg("other").ok());
  ASSERT_TRUE(world_.store->CreateKeyring("other").ok());
  Log("S/New1", "other");
  Log("S/New2", "other");
  Log("S/New3", "other");
  Stream();
  EXPECT_EQ(Lines(), "other/1 S/A, other/2 S/B, other/1 S/New1, other/2 S/New2, other/3 S/New3");
}

TEST_P(AuditStreamTest, WhatWasPrunedBeforeItWasWrittenIsPassedOver) {
  for (int i = 0; i < 3; ++i) Log("S/Old");
  ASSERT_TRUE(world_.usage->FoldNow().ok());
  world_.now += absl::Hours(48);
  Log("S/New");
  AuditRetention retention(world_.store.get(), world_.clock(), absl::Hours(24));
  ASSERT_TRUE(retention.RunOnce().ok());
  ASSERT_TRUE(StartStream().ok());
  Stream();
  EXPECT_EQ(Lines(), "acme/4 S/New, acme/5 keyferryd/PruneAudit");
}

TEST_P(AuditStreamTest, AFileOfSomethingElseIsRefused) {
  std::ofstream(path_) << "what somebody keeps here\n";
  EXPECT_TRUE(absl::IsDataLoss(StartStream()));
  std::ifstream file(path_);
  std::string line;
  std::getline(file, line);
  EXPECT_EQ(line, "what somebody keeps here");
  std::remove(path_.c_str());
  std::ofstream(path_ + ".state") << "x";
  EXPECT_TRUE(absl::IsDataLoss(StartStream()));
  std::remove((path_ + ".state").c_str());
  std::remove(path_.c_str());
  ASSERT_EQ(mkdir(path_.c_str(), 0700), 0);
  EXPECT_FALSE(StartStream().ok());
}

TEST_P(AuditStreamTest, TheBackgroundThreadWritesBeforeItEnds) {
  AuditStream::Options options;
  options.target = path_;
  auto started = AuditStream::Start(world_.store.get(), world_.audit.get(), /*logger=*/nullptr, options);
  ASSERT_TRUE(started.ok()) << started.status();
  for (int i = 0; i < 100; ++i) Log("S/A");
  ASSERT_TRUE(world_.store->Sync().ok());
  started->reset();
  const std::vector<std::string> lines = absl::StrSplit(Lines(), ", ");
  ASSERT_EQ(lines.size(), 100);
  for (size_t i = 0; i < lines.size(); ++i) EXPECT_EQ(lines[i], absl::StrCat("acme/", i + 1, " S/A"));
  // The log must not tell the stream that is gone.
  world_.usage.reset();
  world_.audit.reset();
  EXPECT_TRUE(StreamState::Load(path_ + ".state").ok());
}

TEST(LineSinkTest, AFullPipeTakesTheRestLater) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  ASSERT_GT(fcntl(ends[1], F_SETPIPE_SZ, 4096), 0);
  const auto sink = LineSink::OnDescriptor(ends[1]);
  const std::string lines(20000, 'a');
  ASSERT_TRUE(sink->Write(lines).ok());
  EXPECT_TRUE(absl::IsUnavailable(sink->Flush()));
  EXPECT_TRUE(absl::IsUnavailable(sink->Write("b"))) << "and is not taken";
  std::string read_back;
  while (read_back.size() < lines.size()) {
    char buffer[4096];
    const ssize_t count = read(ends[0], buffer, sizeof(buffer));
    ASSERT_GT(count, 0);
    read_back.append(buffer, static_cast<size_t>(count));
    sink->Flush().IgnoreError();
  }
  EXPECT_EQ(read_back, lines);
  EXPECT_TRUE(sink->Flush().ok());
  close(ends[0]);
  close(ends[1]);
}

}  // namespace
}  // namespace keyferry::server
