// kill -9 of a process that writes to a store, at random moments, again and again: every acknowledged write is there,
// no write is there by half, and the store opens.

#include <signal.h>
#include <stdlib.h>

#include <iostream>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "storage/crypto/key_provider.h"
#include "storage/open.h"
#include "storage/store.h"
#include "tests/harness/child_process.h"
#include "tests/harness/dev_server.h"
#include "tests/kill/model.h"
#include "tests/kill/store_layout.h"

namespace keyferry::testing {
namespace {

using storage::Record;
using storage::Table;

constexpr int kRounds = 220;
constexpr uint64_t kSeed = 20260117;

class StoreKillTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (int64_t number : {1, 2}) ASSERT_TRUE(storage::CreateKekFile(KekPath(directory_, number)).ok());
    model_.Settle("kek", CredentialState{1, 0});
    const std::unique_ptr<storage::Store> store = Open(1, /*create=*/true);
    ASSERT_NE(store, nullptr);
    ASSERT_TRUE(store->CreateKeyring(kKillOrg).ok());
  }

  std::unique_ptr<storage::Store> Open(int64_t kek, bool create) {
    absl::StatusOr<std::unique_ptr<storage::KeyProvider>> provider =
        storage::LoadFileKeyProvider(KekPath(directory_, kek));
    if (!provider.ok()) return nullptr;
    storage::OpenOptions options;
    options.data_dir = directory_ + "/store";
    options.create = create;
    absl::StatusOr<std::unique_ptr<storage::Store>> store = storage::OpenStore(options, **provider);
    open_status_ = store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }

  // Lets a writer run and kills it: most often while it writes, sometimes while it still opens the store.
  void RunWriter(uint64_t seed) {
    const std::unique_ptr<ChildProcess> writer =
        ChildProcess::Start({getenv("STORE_KILL_WRITER"), directory_,
                             std::to_string(model_.Acknowledged("kek")->version), std::to_string(seed)},
                            "");
    const bool while_opening = random_() % 10 == 0;
    absl::Time deadline = absl::Now() + absl::Milliseconds(while_opening ? random_() % 40 : 60'000);
    while (std::optional<std::string> line = writer->ReadLine(deadline)) {
      if (*line == "R") {
        ++ready_;
        deadline = absl::Now() + absl::Microseconds(random_() % 120'000);
      } else {
        ASSERT_TRUE(model_.Read(*line)) << *line;
      }
    }
    ASSERT_FALSE(writer->AtEnd()) << "the writer ended by itself with exit code " << writer->Wait();
    writer->Signal(SIGKILL);
    while (std::optional<std::string> line = writer->ReadLine(absl::InfiniteFuture())) {
      ASSERT_TRUE(*line == "R" || model_.Read(*line)) << *line;
    }
    writer->Wait();
  }

  // Opens the store with the key-encryption key that must open it, or the one that was being put in its place.
  std::unique_ptr<storage::Store> Reopen() {
    for (int64_t kek : {1, 2}) {
      if (!model_.Allows("kek", CredentialState{kek, 0})) continue;
      if (std::unique_ptr<storage::Store> store = Open(kek, /*create=*/false)) {
        model_.Settle("kek", CredentialState{kek, 0});
        return store;
      }
    }
    ADD_FAILURE() << "the store does not open: " << open_status_ << "; " << model_.Describe("kek");
    return nullptr;
  }

  void Check(const storage::StoreView& view) {
    for (int worker = 0; worker < kWorkers; ++worker) {
      for (int index = 0; index < kNamesPerWorker; ++index) CheckCredential(view, KillName(worker, index));
    }
  }

  void CheckCredential(const storage::StoreView& view, const std::string& name) {
    const auto metadata = view.Get(KillKey(Table::kCredential, name));
    const auto value = view.Get(KillKey(Table::kCredentialValue, name));
    const auto previous = view.Get(KillKey(Table::kPreviousValue, name));
    ASSERT_TRUE(metadata.ok()) << metadata.status();
    ASSERT_TRUE(value.ok()) << value.status();
    ASSERT_TRUE(previous.ok()) << previous.status();
    ASSERT_EQ(metadata->has_value(), value->has_value()) << name << " is there by half";
    MaybeState found;
    if (metadata->has_value()) {
      const Record& record = **metadata;
      found = CredentialState{static_cast<int64_t>(record.version),
                              strtoull(std::string(record.payload.Expose()).c_str(), nullptr, 10)};
      ASSERT_EQ((*value)->version, record.version) << name;
      ASSERT_EQ((*value)->payload.Expose(), ValueText(name, *found)) << name;
    }
    ASSERT_EQ(previous->has_value(), found.has_value() && found->version > 1) << name;
    if (previous->has_value()) {
      const uint64_t version = (*previous)->version;
      ASSERT_EQ(version + 1, (*metadata)->version) << name;
      ASSERT_TRUE(absl::StartsWith((*previous)->payload.Expose(), absl::StrCat(name, ":", version, ":"))) << name;
    }
    ASSERT_TRUE(model_.Allows(name, found))
        << "found " << (found.has_value() ? std::to_string(found->version) : "nothing") << "; "
        << model_.Describe(name);
    model_.Settle(name, found);
  }

  const std::string directory_ = MakeTestDirectory("store-kill");
  std::mt19937_64 random_{kSeed};
  Model model_;
  absl::Status open_status_;
  int ready_ = 0;
};

TEST_F(StoreKillTest, EveryAcknowledgedWriteSurvivesAndNoneIsThereByHalf) {
  std::cout << "seed " << kSeed << ", " << kRounds << " rounds" << std::endl;
  for (int round = 0; round < kRounds; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    ASSERT_NO_FATAL_FAILURE(RunWriter(kSeed + round * 1000));
    const std::unique_ptr<storage::Store> store = Reopen();
    ASSERT_NE(store, nullptr);
    ASSERT_NO_FATAL_FAILURE(Check(*store->View()));
    model_.EndRound();
    if (round % 40 == 0) {
      const absl::Status verified = store->Verify();
      ASSERT_TRUE(verified.ok()) << verified;
    }
  }
  std::cout << model_.acknowledged_steps() << " acknowledged writes, " << ready_ << " kills while writing" << std::endl;
  EXPECT_GT(ready_, kRounds / 2);
  EXPECT_GT(model_.acknowledged_steps(), 4 * kRounds);
}

}  // namespace
}  // namespace keyferry::testing
