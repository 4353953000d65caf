// The store in this process against raw RocksDB: prints tab-separated rows `what subject floor unit ratio`.
// Flags: --dir DIR (made, must not exist) --seconds S.
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/credentials/credential_rules.h"
#include "server/log.h"
#include "server/pagination.h"
#include "server/usage/usage_recorder.h"
#include "storage/open.h"
#include "storage/records/records.pb.h"
#include "storage/records/typed.h"
#include "tests/bench/flags.h"
#include "tests/bench/measure.h"

namespace keyferry::bench {
namespace {

constexpr int kRounds = 5;
constexpr int kStored = 10000;
constexpr size_t kValueBytes = 40;
// What one create writes: two keys and two sealed records, and the revision kept with each.
constexpr size_t kCreateBytes = 2 * 50 + 2 * (41 + 8) + 160 + 56;
// A rotation writes the metadata, the new value, the previous one with its place, and the marker of the purge.
constexpr size_t kRotateBytes = kCreateBytes + 50 + 41 + 8 + 80 + 17 + 8 + 60;

void Check(const absl::Status& status) {
  if (status.ok()) return;
  std::cerr << status << "\n";
  std::exit(1);
}

void Print(const std::string& what, const Comparison& result, const char* unit) {
  std::printf("%s\t%.1f\t%.1f\t%s\t%.2f\n", what.c_str(), result.subject, result.floor, unit, result.ratio);
  std::fflush(stdout);
}

class StoreBench {
 public:
  StoreBench(const std::string& dir, double seconds) : seconds_(seconds) {
    std::filesystem::create_directory(dir);
    std::filesystem::permissions(dir, std::filesystem::perms::owner_all);
    Check(storage::CreateKekFile(dir + "/kek"));
    auto provider = storage::LoadFileKeyProvider(dir + "/kek");
    Check(provider.status());
    storage::OpenOptions options;
    options.data_dir = dir + "/store";
    options.create = true;
    auto store = storage::OpenStore(options, **provider);
    Check(store.status());
    store_ = *std::move(store);
    Check(store_->CreateKeyring("acme"));
    AddUsers();
    audit_ = std::make_unique<server::AuditLog>(store_.get(), server::AuditLog::Options());
    auto usage =
        server::UsageRecorder::Start(store_.get(), audit_.get(), [] { return absl::Now(); }, logger_.get(), {});
    Check(usage.status());
    usage_ = *std::move(usage);
    rules_ = std::make_unique<server::CredentialRules>(
        store_.get(), [] { return absl::Now(); }, &pages_, usage_.get());
    caller_.org = "acme";
    caller_.id = "ada";
    caller_.role = v1::ORG_ROLE_ADMIN;
    caller_.tier = v1::TIER_BUSINESS;

    rocksdb::Options raw;
    raw.create_if_missing = true;
    raw.compression = rocksdb::kNoCompression;
    rocksdb::BlockBasedTableOptions table;
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    raw.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    rocksdb::DB* db = nullptr;
    if (!rocksdb::DB::Open(raw, dir + "/raw", &db).ok()) std::exit(1);
    raw_.reset(db);
  }

  void Run() {
    for (const int writers : {1, 64}) {
      Print(absl::StrCat("create, synced, ", writers, " writers"),
            Compare(
                kRounds, [&] { return Creates(writers); }, [&] { return RawPuts(writers, kCreateBytes); }),
            "/s");
      Print(absl::StrCat("rotate, synced, ", writers, " writers"),
            Compare(
                kRounds, [&] { return Rotates(writers); }, [&] { return RawPuts(writers, kRotateBytes); }),
            "/s");
    }
    Fill();
    const Comparison rate = Compare(
        kRounds, [&] { return Opens(); }, [&] { return RawGets(); });
    Print("open one value by name", {1e6 / rate.subject, 1e6 / rate.floor, 1 / rate.ratio}, "us");
  }

 private:
  void AddUsers() {
    storage::Mutation mutation;
    for (int i = 0; i < 1000; ++i) {
      storage::records::UserRecord user;
      user.set_id(absl::StrCat("u", i));
      user.set_role(v1::ORG_ROLE_MEMBER);
      mutation.Put({storage::Table::kUser, "acme", "", user.id()}, storage::SerializeSecret(user), 1, std::nullopt);
    }
    Check(store_->Commit(mutation, storage::Durability::kSynced).status());
  }

  // At most 10,000 credentials fit one parent, so they spread over users.
  double Creates(int writers) {
    return CallsPerSecond(writers, seconds_, [this](int, uint64_t) {
      const uint64_t n = created_++;
      server::Caller caller = caller_;
      caller.id = absl::StrCat("u", n / 5000);
      v1::CreateCredentialRequest request;
      request.set_parent(caller.Name());
      request.set_credential_id(absl::StrCat("TOKEN_", n));
      request.set_value(std::string(kValueBytes, 'v'));
      Check(rules_->CreateCredential(caller, request).status());
    });
  }

  double Rotates(int writers) {
    for (int writer = 0; writer < writers; ++writer) {
      v1::CreateCredentialRequest request;
      request.set_parent("orgs/acme");
      request.set_credential_id(absl::StrCat("ROTATED_", writers, "_", writer));
      request.set_value(std::string(kValueBytes, 'v'));
      const auto created = rules_->CreateCredential(caller_, request);
      if (!absl::IsAlreadyExists(created.status())) Check(created.status());
    }
    return CallsPerSecond(writers, seconds_, [&](int writer, uint64_t) {
      v1::RotateCredentialRequest request;
      request.set_name(absl::StrCat("orgs/acme/credentials/ROTATED_", writers, "_", writer));
      request.set_value(std::string(kValueBytes, 'w'));
      Check(rules_->RotateCredential(caller_, request).status());
    });
  }

  double RawPuts(int writers, size_t bytes) {
    rocksdb::WriteOptions synced;
    synced.sync = true;
    return CallsPerSecond(writers, seconds_, [&, this](int, uint64_t) {
      const std::string key = absl::StrCat("create/", created_raw_++);
      if (!raw_->Put(synced, key, std::string(bytes - key.size(), 'r')).ok()) std::exit(1);
    });
  }

  void Fill() {
    storage::Mutation mutation;
    for (int i = 0; i < kStored; ++i) {
      mutation.Put({storage::Table::kCredentialValue, "acme", "users/bob", absl::StrCat("NAME_", i)},
                   storage::SecretBytes::CopyOf(std::string(kValueBytes, 'v')), 1, std::nullopt);
      if (!raw_->Put({}, absl::StrCat("value/", i), std::string(kValueBytes + 53, 'v')).ok()) std::exit(1);
    }
    Check(store_->Commit(mutation, storage::Durability::kSynced).status());
  }

  double Opens() {
    return CallsPerSecond(1, seconds_, [this](int, uint64_t i) {
      const auto record = store_->View()->Get(
          {storage::Table::kCredentialValue, "acme", "users/bob", absl::StrCat("NAME_", i * 7919 % kStored)});
      Check(record.status());
      if (!record->has_value() || (*record)->payload.size() != kValueBytes) std::exit(1);
    });
  }

  double RawGets() {
    return CallsPerSecond(1, seconds_, [this](int, uint64_t i) {
      std::string value;
      if (!raw_->Get({}, absl::StrCat("value/", i * 7919 % kStored), &value).ok()) std::exit(1);
    });
  }

  const double seconds_;
  std::unique_ptr<storage::Store> store_;
  const std::unique_ptr<server::Logger> logger_ = server::MakeSilentLogger();
  server::PageTokens pages_;
  std::unique_ptr<server::AuditLog> audit_;
  std::unique_ptr<server::UsageRecorder> usage_;
  std::unique_ptr<server::CredentialRules> rules_;
  server::Caller caller_;
  std::unique_ptr<rocksdb::DB> raw_;
  std::atomic<uint64_t> created_{0};
  std::atomic<uint64_t> created_raw_{0};
};

}  // namespace
}  // namespace keyferry::bench

int main(int argc, char** argv) {
  auto flags = keyferry::bench::ParseFlags(argc, argv);
  keyferry::bench::StoreBench(flags["dir"], std::stod(flags["seconds"])).Run();
  return 0;
}
