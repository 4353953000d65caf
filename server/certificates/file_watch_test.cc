#include "server/certificates/file_watch.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "storage/testing_store.h"

namespace keyferry::server {
namespace {

class FileWatchTest : public testing::Test {
 protected:
  FileWatchTest() : directory_(storage::MakeTestDirectory()), logger_(MakeSilentLogger()) {
    Replace("a", "1");
    Replace("b", "1");
    watch_ = std::make_unique<FileWatch>(logger_.get(), absl::ZeroDuration());
    watch_->Add("pair", {Path("a"), Path("b")}, [this] {
      ++reloads_;
      return result_;
    });
  }

  std::string Path(const std::string& name) const { return absl::StrCat(directory_, "/", name); }
  // By rename, so that the file is another one.
  void Replace(const std::string& name, const std::string& content) const {
    std::ofstream(Path(name) + ".new") << content;
    ASSERT_EQ(std::rename((Path(name) + ".new").c_str(), Path(name).c_str()), 0);
  }
  std::string Metrics() const {
    metrics::Exposition out;
    watch_->WriteTo(&out);
    return out.Take();
  }
  bool Shows(const std::string& line) const { return absl::StrContains(Metrics(), line + "\n"); }

  const std::string directory_;
  const std::unique_ptr<Logger> logger_;
  int reloads_ = 0;
  absl::Status result_;
  std::unique_ptr<FileWatch> watch_;
};

TEST_F(FileWatchTest, ReadsOnceWhatChangedAndStandsStill) {
  watch_->Look();
  watch_->Look();
  EXPECT_EQ(reloads_, 0);
  Replace("a", "2");
  watch_->Look();
  EXPECT_EQ(reloads_, 0) << "the other file may be about to be written";
  Replace("b", "2");
  watch_->Look();
  EXPECT_EQ(reloads_, 0);
  watch_->Look();
  EXPECT_EQ(reloads_, 1);
  watch_->Look();
  EXPECT_EQ(reloads_, 1);
  EXPECT_TRUE(Shows("keyferry_reloads_total{what=\"pair\",result=\"ok\"} 1"));
}

TEST_F(FileWatchTest, SeesALinkThatMovesAndAFileThatGoes) {
  Replace("c", "3");
  ASSERT_EQ(unlink(Path("a").c_str()), 0);
  ASSERT_EQ(symlink(Path("c").c_str(), Path("a").c_str()), 0);
  watch_->Look();
  watch_->Look();
  EXPECT_EQ(reloads_, 1);
  ASSERT_EQ(unlink(Path("c").c_str()), 0);
  watch_->Look();
  watch_->Look();
  EXPECT_EQ(reloads_, 2);
}

TEST_F(FileWatchTest, WhatCannotBeUsedIsToldOnceAndTriedAgainWhenItChanges) {
  result_ = absl::InvalidArgumentError("broken");
  Replace("a", "2");
  for (int i = 0; i < 5; ++i) watch_->Look();
  EXPECT_EQ(reloads_, 1);
  EXPECT_TRUE(Shows("keyferry_reloads_total{what=\"pair\",result=\"failed\"} 1"));
  EXPECT_TRUE(Shows("keyferry_reload_failed{what=\"pair\"} 1"));
  result_ = absl::OkStatus();
  Replace("a", "3");
  watch_->Look();
  watch_->Look();
  EXPECT_EQ(reloads_, 2);
  EXPECT_TRUE(Shows("keyferry_reload_failed{what=\"pair\"} 0"));
}

TEST_F(FileWatchTest, ReloadAllReadsAtOnceAndAnswersTheFirstError) {
  EXPECT_TRUE(watch_->ReloadAll().ok());
  EXPECT_EQ(reloads_, 1);
  int others = 0;
  watch_->Add("other", {}, [&others] {
    ++others;
    return absl::OkStatus();
  });
  result_ = absl::NotFoundError("gone");
  EXPECT_EQ(watch_->ReloadAll().message(), "gone");
  EXPECT_EQ(others, 1) << "an error of one must not keep the others from being read";
}

// A reload may take its time, or wait for a lock that another thread holds while it asks for the figures.
TEST_F(FileWatchTest, FiguresAreShownWhileAReloadRuns) {
  std::string shown;
  watch_->Add("slow", {}, [this, &shown] {
    std::thread other([this, &shown] {
      watch_->Note("config", absl::OkStatus());
      watch_->SetFiles("pair", {Path("b")});
      shown = Metrics();
    });
    other.join();
    return absl::OkStatus();
  });
  EXPECT_TRUE(watch_->ReloadAll().ok());
  EXPECT_TRUE(absl::StrContains(shown, "keyferry_reloads_total{what=\"pair\",result=\"ok\"} 1\n"));
  EXPECT_TRUE(Shows("keyferry_reloads_total{what=\"slow\",result=\"ok\"} 1"));
}

TEST_F(FileWatchTest, OtherFilesCountAsRead) {
  Replace("c", "1");
  watch_->SetFiles("pair", {Path("c")});
  watch_->Look();
  watch_->Look();
  EXPECT_EQ(reloads_, 0);
  Replace("c", "2");
  watch_->Look();
  watch_->Look();
  EXPECT_EQ(reloads_, 1);
}

TEST_F(FileWatchTest, WhatHasNoFilesIsCountedAsWell) {
  watch_->Note("config", absl::InvalidArgumentError("no"));
  watch_->Note("config", absl::OkStatus());
  watch_->Look();
  EXPECT_TRUE(Shows("keyferry_reloads_total{what=\"config\",result=\"ok\"} 1"));
  EXPECT_TRUE(Shows("keyferry_reloads_total{what=\"config\",result=\"failed\"} 1"));
  EXPECT_TRUE(Shows("keyferry_reload_failed{what=\"config\"} 0"));
}

}  // namespace
}  // namespace keyferry::server
