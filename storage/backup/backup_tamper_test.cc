// Whoever can write to a backup can make none that verifies.
#include <filesystem>
#include <functional>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "storage/backup/entry_parser.h"
#include "storage/backup/format.h"
#include "storage/backup/testing_backup.h"
#include "storage/engine/rocksdb/fault_fs.h"

namespace keyferry::storage {
namespace {

class BackupTamperTest : public BackupTest {
 protected:
  void SetUp() override {
    Start();
    PutMany(0, 150, 1000);
    older_ = Backup().path;
    now_ += absl::Hours(1);
    PutMany(0, 150, 1000);
    backup_ = Backup().path;
    Stop();
    for (const std::string& name : NamesIn(backup_)) {
      content_[name] = ReadWholeFile(absl::StrCat(backup_, "/", name));
    }
    ASSERT_GT(content_.size(), 3u);
  }

  std::string Path(const std::string& name) const { return absl::StrCat(backup_, "/", name); }

  // It is refused, in words that name `name`, and nothing is restored.
  void ExpectRefused(const std::string& name, absl::StatusCode code = absl::StatusCode::kDataLoss) {
    const absl::Status checked = Check(backup_);
    EXPECT_EQ(checked.code(), code) << checked;
    EXPECT_TRUE(absl::StrContains(checked.message(), name)) << checked;
    const absl::Status restored = Restore(backup_);
    EXPECT_EQ(restored.code(), code) << restored;
    EXPECT_FALSE(std::filesystem::exists(target_));
    EXPECT_FALSE(std::filesystem::exists(target_ + ".restoring"));
  }
  void Mend(const std::string& name) { WriteWholeFile(Path(name), content_[name]); }

  std::string older_;
  std::string backup_;
  std::map<std::string, std::string> content_;
};

TEST_F(BackupTamperTest, EveryFileFlippedCutLengthenedSwappedOrMissing) {
  for (const auto& [name, whole] : content_) {
    SCOPED_TRACE(name);
    for (size_t at : {size_t{0}, whole.size() / 3, whole.size() / 2, whole.size() - 1}) {
      SCOPED_TRACE(at);
      std::string flipped = whole;
      flipped[at] = static_cast<char>(flipped[at] ^ 1);
      WriteWholeFile(Path(name), flipped);
      // A flipped digit of a version is that of a version which is not known.
      const absl::Status checked = Check(backup_);
      EXPECT_TRUE(absl::IsDataLoss(checked) || absl::IsPermissionDenied(checked)) << checked;
      EXPECT_TRUE(absl::StrContains(checked.message(), absl::IsDataLoss(checked) ? name : backup_)) << checked;
      EXPECT_FALSE(Restore(backup_).ok());
      WriteWholeFile(Path(name), whole.substr(0, at));
      ExpectRefused(name);
    }
    WriteWholeFile(Path(name), whole + "x");
    ExpectRefused(name);
    const std::string other = ReadWholeFile(absl::StrCat(older_, "/", name));
    ASSERT_NE(other, whole);
    WriteWholeFile(Path(name), other);
    // With the other's manifest it is the files that do not fit.
    ExpectRefused(name == kManifestName ? "entries-000001" : name);
    std::filesystem::remove(Path(name));
    ExpectRefused(name, name == kManifestName ? absl::StatusCode::kNotFound : absl::StatusCode::kDataLoss);
    Mend(name);
    if (HasFailure()) return;
  }
  EXPECT_TRUE(Check(backup_).ok()) << Check(backup_);
}

TEST_F(BackupTamperTest, EveryByteOfTheManifestCounts) {
  const std::string whole = content_["MANIFEST"];
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ 1);
    WriteWholeFile(Path("MANIFEST"), flipped);
    EXPECT_FALSE(BackupReader::Open(backup_, *kek_).ok()) << "byte " << at;
    WriteWholeFile(Path("MANIFEST"), whole.substr(0, at));
    EXPECT_FALSE(BackupReader::Open(backup_, *kek_).ok()) << "cut at " << at;
  }
}

TEST_F(BackupTamperTest, AManifestIsNotMadeWithoutTheKek) {
  struct Case {
    std::string name;
    std::function<void(std::string*)> edit;
  };
  const std::string whole = content_["MANIFEST"];
  for (const Case& c : {
           Case{"an earlier time",
                [](std::string* text) {
                  *text = absl::StrReplaceAll(*text, {{"time 20", "time 19"}});
                }},
           Case{"no files",
                [](std::string* text) { text->erase(text->find("file "), text->rfind("mac ") - text->find("file ")); }},
           Case{"two files changed places",
                [](std::string* text) {
                  *text = absl::StrReplaceAll(
                      *text, {{"entries-000001", "entries-000002"}, {"entries-000002", "entries-000001"}});
                }},
           Case{"a file outside",
                [](std::string* text) {
                  *text = absl::StrReplaceAll(*text, {{"entries-000001", "../x"}});
                }},
           Case{"no MAC", [](std::string* text) { text->erase(text->rfind("mac ")); }},
           Case{"an empty MAC", [](std::string* text) { text->erase(text->rfind("mac ") + 4); }},
           Case{"more behind the MAC", [](std::string* text) { text->append("file entries-000099 0 00\n"); }},
       }) {
    SCOPED_TRACE(c.name);
    std::string text = whole;
    c.edit(&text);
    ASSERT_NE(text, whole);
    WriteWholeFile(Path("MANIFEST"), text);
    ExpectRefused("MANIFEST");
  }
}

TEST_F(BackupTamperTest, ALaterVersionIsRefusedWithWords) {
  WriteWholeFile(Path("MANIFEST"),
                 absl::StrReplaceAll(content_["MANIFEST"], {{"keyferry-backup 1", "keyferry-backup 2"}}));
  ExpectRefused("version 2", absl::StatusCode::kFailedPrecondition);
}

TEST_F(BackupTamperTest, AFileThatIsNotOfItIsRefused) {
  WriteWholeFile(Path("entries-000099"), content_["entries-000001"]);
  ExpectRefused("entries-000099");
}

TEST_F(BackupTamperTest, ABackupOfAnotherStoreDoesNotOpenWithThisKey) {
  std::filesystem::remove_all(data_dir_);
  Start();
  Put("A", "a");
  const auto view = store_backups()->TakeBackupView();
  ASSERT_TRUE(view.ok());
  const auto reader = BackupReader::OpenWith(backup_, view->key);
  EXPECT_EQ(reader.status().code(), absl::StatusCode::kDataLoss) << reader.status();
  EXPECT_TRUE(BackupReader::OpenWith(Backup().path, view->key).ok());
}

// An entry that was exchanged in a backup whose files were made to fit again would still not authenticate.
TEST_F(BackupTamperTest, RestoreVerifiesEveryRecord) {
  Start();
  const auto view = *store_backups()->TakeBackupView();
  // One record shows another's bytes.
  class Swapped : public EngineSnapshot {
   public:
    explicit Swapped(std::shared_ptr<const EngineSnapshot> real) : real_(std::move(real)) {}
    Revision revision() const override { return real_->revision(); }
    absl::StatusOr<std::optional<EngineEntry>> Get(absl::string_view key) const override { return real_->Get(key); }
    absl::Status Scan(absl::string_view prefix, absl::string_view after,
                      const std::function<bool(const EngineEntry&)>& visit) const override {
      std::string last;
      return real_->Scan(prefix, after, [&](const EngineEntry& entry) {
        EngineEntry shown = entry;
        if (entry.key.size() > 17 && entry.key[17] == static_cast<char>(Table::kCredentialValue)) {
          if (!last.empty()) shown.value = last;
          last = entry.value;
        }
        return visit(shown);
      });
    }

   private:
    const std::shared_ptr<const EngineSnapshot> real_;
  };
  class Source : public BackupSource {
   public:
    explicit Source(BackupView view) : view_(std::move(view)) {}
    absl::StatusOr<BackupView> TakeBackupView() override { return view_; }

   private:
    const BackupView view_;
  };
  Source source({std::make_shared<Swapped>(view.snapshot), view.header, view.key});
  const auto backup = WriteBackup(source, Options());
  ASSERT_TRUE(backup.ok()) << backup.status();
  EXPECT_TRUE(Check(backup->path).ok()) << "its files are whole";
  EXPECT_EQ(Restore(backup->path).code(), absl::StatusCode::kDataLoss) << Restore(backup->path);
  EXPECT_FALSE(std::filesystem::exists(target_));
}

TEST(EntryParserTest, TakesBytesApartHoweverTheyArrive) {
  std::string bytes(kEntriesMagic);
  bytes += std::string("\x00\x01\x00\x00\x00\x02kvv", 9) + std::string("\x00\x02\x00\x00\x00\x00KK", 8);
  for (size_t piece = 1; piece <= bytes.size(); ++piece) {
    std::string seen;
    EntryParser parser([&](absl::string_view key, absl::string_view value) {
      absl::StrAppend(&seen, key, "=", value, ";");
      return absl::OkStatus();
    });
    for (size_t at = 0; at < bytes.size(); at += piece) ASSERT_TRUE(parser.Feed(bytes.substr(at, piece)).ok());
    EXPECT_EQ(seen, "k=vv;KK=;");
    EXPECT_TRUE(parser.AtEnd());
  }
}

TEST(EntryParserTest, RefusesWhatIsNone) {
  const auto feed = [](const std::string& bytes) {
    EntryParser parser([](absl::string_view, absl::string_view) { return absl::OkStatus(); });
    const absl::Status status = parser.Feed(bytes);
    return status.ok() && parser.AtEnd();
  };
  const std::string magic(kEntriesMagic);
  EXPECT_TRUE(feed(magic));
  EXPECT_FALSE(feed("")) << "cut before it begins";
  EXPECT_FALSE(feed(magic.substr(0, 5)));
  EXPECT_FALSE(feed("KEYFERRY-ENTRIEZ"));
  EXPECT_FALSE(feed(magic + std::string("\x00\x00\x00\x00\x00\x02vv", 8))) << "an empty key";
  EXPECT_FALSE(feed(magic + std::string("\x04\x01\x00\x00\x00\x02", 6))) << "a key that is too long";
  EXPECT_FALSE(feed(magic + std::string("\x00\x01\xff\xff\xff\xff", 6))) << "a value that is too long";
  EXPECT_FALSE(feed(magic + std::string("\x00\x01\x00\x00\x00\x02kv", 8))) << "cut within an entry";
}

}  // namespace
}  // namespace keyferry::storage
