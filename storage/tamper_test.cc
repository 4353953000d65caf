// What an attacker with the engine's content can do to a sealed record: nothing that opens.

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "storage/crypto/testing_key_provider.h"
#include "storage/envelope.h"
#include "storage/format.h"
#include "storage/header.h"
#include "storage/open.h"
#include "storage/testing_store.h"

namespace keyferry::storage {
namespace {

struct TableCase {
  Table table;
  const char* name;
};
constexpr TableCase kTables[] = {
    {Table::kOrg, "Org"},
    {Table::kTokenIndex, "TokenIndex"},
    {Table::kUser, "User"},
    {Table::kTeam, "Team"},
    {Table::kTeamMember, "TeamMember"},
    {Table::kMembership, "Membership"},
    {Table::kService, "Service"},
    {Table::kWorkload, "Workload"},
    {Table::kToken, "Token"},
    {Table::kCredential, "Credential"},
    {Table::kCredentialValue, "CredentialValue"},
    {Table::kPreviousValue, "PreviousValue"},
    {Table::kCredentialUsage, "CredentialUsage"},
    {Table::kMcpServer, "McpServer"},
    {Table::kJournalHead, "JournalHead"},
    {Table::kJournalBlock, "JournalBlock"},
    {Table::kUsageState, "UsageState"},
};

// A store over a memory engine whose entries the test rewrites below it.
class TamperFixture : public testing::Test {
 protected:
  TamperFixture() {
    Open();
    EXPECT_TRUE(store_->CreateKeyring("acme").ok());
    EXPECT_TRUE(store_->CreateKeyring("evil").ok());
  }

  void Open() {
    store_.reset();
    auto store = OpenStoreOn(engine_.Borrow(), /*create=*/true, kek_);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  std::vector<EngineEntry> Entries(Space space) {
    std::vector<EngineEntry> entries;
    EXPECT_TRUE(engine_.engine()
                    .Snapshot()
                    ->Scan(SpaceKey(space, ""), "",
                           [&](const EngineEntry& entry) {
                             entries.push_back(entry);
                             return true;
                           })
                    .ok());
    return entries;
  }
  void Overwrite(const std::string& key, std::optional<std::string> value) {
    EngineBatch batch;
    batch.writes.push_back({key, std::move(value)});
    ASSERT_TRUE(engine_.engine().Commit(batch, Durability::kSynced).ok());
  }
  // The engine entry that `key` was stored as; the store must hold no other record.
  EngineEntry PutAndFind(const RecordKey& key, absl::string_view payload, uint64_t version) {
    EXPECT_TRUE(PutOne(*store_, key, payload, version).ok());
    const std::vector<EngineEntry> entries = Entries(Space::kRecord);
    EXPECT_EQ(entries.size(), 1);
    return entries.at(0);
  }
  absl::StatusCode CodeOf(const RecordKey& key) { return store_->View()->Get(key).status().code(); }

  FakeKeyProvider kek_{1};
  TestEngine engine_{EngineKind::kMemory};
  std::unique_ptr<Store> store_;
};

class TableSweepTest : public TamperFixture, public testing::WithParamInterface<TableCase> {
 protected:
  RecordKey Key() const {
    const bool system = static_cast<int>(GetParam().table) < 16;
    return {GetParam().table, system ? "" : "acme", "users/ada", "id"};
  }
};

INSTANTIATE_TEST_SUITE_P(Tables, TableSweepTest, testing::ValuesIn(kTables),
                         [](const auto& info) { return info.param.name; });

TEST_P(TableSweepTest, EveryFlippedBitFails) {
  const EngineEntry entry = PutAndFind(Key(), "payload of a record", 5);
  for (size_t bit = 0; bit < entry.value.size() * 8; ++bit) {
    std::string changed = entry.value;
    changed[bit / 8] ^= static_cast<char>(1 << (bit % 8));
    Overwrite(entry.key, changed);
    ASSERT_EQ(CodeOf(Key()), absl::StatusCode::kDataLoss) << "bit " << bit;
  }
  Overwrite(entry.key, entry.value);
  EXPECT_EQ(ReadOne(*store_, Key()), "payload of a record");
}

TEST_P(TableSweepTest, EveryTruncationAndExtensionFails) {
  const EngineEntry entry = PutAndFind(Key(), "payload of a record", 5);
  for (size_t size = 0; size < entry.value.size(); ++size) {
    Overwrite(entry.key, entry.value.substr(0, size));
    ASSERT_EQ(CodeOf(Key()), absl::StatusCode::kDataLoss) << size << " bytes";
  }
  Overwrite(entry.key, entry.value + std::string(1, '\0'));
  EXPECT_EQ(CodeOf(Key()), absl::StatusCode::kDataLoss);
}

class CrossContextTest : public TamperFixture {};

// Moves a sealed record to the place of another one and asks for that one.
TEST_F(CrossContextTest, RecordOpensOnlyInItsOwnPlace) {
  const RecordKey home = ValueKey("acme", "teams/eng", "TOKEN");
  struct Case {
    const char* name;
    RecordKey key;
  };
  const Case cases[] = {
      {"another name", ValueKey("acme", "teams/eng", "TOKEN2")},
      {"another team", ValueKey("acme", "teams/ops", "TOKEN")},
      {"org scope", ValueKey("acme", "", "TOKEN")},
      {"personal scope", ValueKey("acme", "users/ada", "TOKEN")},
      {"another org", ValueKey("evil", "teams/eng", "TOKEN")},
      {"another table", {Table::kPreviousValue, "acme", "teams/eng", "TOKEN"}},
      {"metadata table", {Table::kCredential, "acme", "teams/eng", "TOKEN"}},
  };
  const EngineEntry sealed = PutAndFind(home, "secret", 3);
  for (const Case& test : cases) {
    ASSERT_TRUE(PutOne(*store_, test.key, "own", 3).ok());
    for (const EngineEntry& entry : Entries(Space::kRecord)) {
      if (entry.key != sealed.key) Overwrite(entry.key, sealed.value);
    }
    EXPECT_EQ(CodeOf(test.key), absl::StatusCode::kDataLoss) << test.name;
    EXPECT_EQ(ReadOne(*store_, home), "secret") << test.name;
    EXPECT_EQ(store_->Verify().code(), absl::StatusCode::kDataLoss) << test.name;
    ASSERT_TRUE(DeleteOne(*store_, test.key).ok());
  }
  EXPECT_TRUE(store_->Verify().ok());
}

TEST_F(CrossContextTest, VersionAndKeyIdAreBound) {
  const RecordKey home = ValueKey("acme", "", "TOKEN");
  const EngineEntry sealed = PutAndFind(home, "secret", 3);
  std::string version = sealed.value;
  version[12] = 4;
  Overwrite(sealed.key, version);
  EXPECT_EQ(CodeOf(home), absl::StatusCode::kDataLoss);
  std::string key_id = sealed.value;
  key_id[4] = 2;
  Overwrite(sealed.key, key_id);
  EXPECT_EQ(CodeOf(home), absl::StatusCode::kDataLoss);
}

TEST_F(CrossContextTest, ScanNeverReturnsWhatDoesNotAuthenticate) {
  const EngineEntry sealed = PutAndFind(ValueKey("acme", "", "TOKEN"), "secret", 3);
  std::string changed = sealed.value;
  changed.back() ^= 1;
  Overwrite(sealed.key, changed);
  int visited = 0;
  const auto count = [&](Record) {
    ++visited;
    return true;
  };
  EXPECT_EQ(store_->View()->Scan(Table::kCredentialValue, "acme", "", count).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(store_->View()->ScanAll(Table::kCredentialValue, "acme", count).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(visited, 0);
}

class OpenTamperTest : public TamperFixture {
 protected:
  absl::Status TryOpen(const KeyProvider& kek) {
    store_.reset();
    return OpenStoreOn(engine_.Borrow(), /*create=*/true, kek).status();
  }
};

TEST_F(OpenTamperTest, WrongKekIsNamed) {
  const absl::Status status = TryOpen(FakeKeyProvider(9));
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_NE(status.message().find("fake KEK 9"), absl::string_view::npos) << status;
}

TEST_F(OpenTamperTest, FailingProviderIsPassedOn) {
  EXPECT_EQ(TryOpen(FailingKeyProvider(absl::UnavailableError("plugin is down"))).code(),
            absl::StatusCode::kUnavailable);
}

TEST_F(OpenTamperTest, EveryChangeOfTheHeaderRefusesToOpen) {
  const std::string header = Entries(Space::kHeader).at(0).value;
  for (size_t bit = 0; bit < header.size() * 8; ++bit) {
    std::string changed = header;
    changed[bit / 8] ^= static_cast<char>(1 << (bit % 8));
    Overwrite(HeaderKey(), changed);
    const absl::Status status = TryOpen(kek_);
    ASSERT_FALSE(status.ok()) << "bit " << bit;
    const bool in_version = bit / 8 >= 8 && bit / 8 < 12;
    ASSERT_EQ(status.code() == absl::StatusCode::kFailedPrecondition, in_version) << "bit " << bit << ": " << status;
  }
  for (size_t size = 0; size < header.size(); ++size) {
    Overwrite(HeaderKey(), header.substr(0, size));
    ASSERT_FALSE(TryOpen(kek_).ok()) << size;
  }
  Overwrite(HeaderKey(), std::nullopt);
  EXPECT_EQ(TryOpen(kek_).code(), absl::StatusCode::kDataLoss);
  Overwrite(HeaderKey(), header);
  EXPECT_TRUE(TryOpen(kek_).ok());
}

TEST_F(OpenTamperTest, UnknownFormatVersionSaysWhichOneIsKnown) {
  std::string header = Entries(Space::kHeader).at(0).value;
  header[11] = 2;
  Overwrite(HeaderKey(), header);
  const absl::Status status = TryOpen(kek_);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(status.message().find("format version 2"), absl::string_view::npos) << status;
}

TEST_F(OpenTamperTest, KeyringsDoNotOpenWhenChangedOrExchanged) {
  const std::vector<EngineEntry> keyrings = Entries(Space::kKeyring);
  ASSERT_EQ(keyrings.size(), 3);  // system, acme, evil
  std::string changed = keyrings[0].value;
  changed[20] ^= 1;
  Overwrite(keyrings[0].key, changed);
  EXPECT_EQ(TryOpen(kek_).code(), absl::StatusCode::kDataLoss);
  Overwrite(keyrings[0].key, keyrings[1].value);
  EXPECT_EQ(TryOpen(kek_).code(), absl::StatusCode::kDataLoss);
  Overwrite(keyrings[0].key, keyrings[0].value);
  EXPECT_TRUE(TryOpen(kek_).ok());
}

TEST_F(OpenTamperTest, MissingKeyringIsFoundByVerify) {
  ASSERT_TRUE(PutOne(*store_, ValueKey("acme", "", "A"), "1").ok());
  const std::string org_tag = Entries(Space::kRecord).at(0).key.substr(1, kTagSize);
  Overwrite(SpaceKey(Space::kKeyring, org_tag), std::nullopt);
  EXPECT_EQ(store_->Verify().code(), absl::StatusCode::kDataLoss);
}

TEST_F(OpenTamperTest, StoreIsNotMadeUnlessAsked) {
  TestEngine empty(EngineKind::kMemory);
  EXPECT_EQ(OpenStoreOn(empty.Borrow(), /*create=*/false, kek_).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace keyferry::storage
