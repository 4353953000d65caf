// What the record of an org says while the org is being deleted.
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "server/directory/bootstrap.h"
#include "server/directory/testing_directory.h"
#include "server/records.h"
#include "storage/records/records.pb.h"

namespace keyferry::server {
namespace {

// Forwards to another store, but destroys no org.
class KeepingStore : public storage::Store {
 public:
  explicit KeepingStore(storage::Store* store) : store_(store) {}
  std::unique_ptr<storage::StoreView> View() override { return store_->View(); }
  absl::StatusOr<storage::Revision> Commit(const storage::Mutation& mutation, storage::Durability durability) override {
    return store_->Commit(mutation, durability);
  }
  void SetJournalListener(storage::JournalListener listener) override {
    store_->SetJournalListener(std::move(listener));
  }
  absl::Status Sync() override { return store_->Sync(); }
  absl::Status CreateKeyring(absl::string_view org) override { return store_->CreateKeyring(org); }
  absl::Status DestroyOrg(absl::string_view) override { return absl::UnavailableError("this store destroys nothing"); }
  absl::StatusOr<storage::KeyringInfo> GetKeyringInfo(absl::string_view org) override {
    return store_->GetKeyringInfo(org);
  }
  absl::Status RotateDataKey(absl::string_view org) override { return store_->RotateDataKey(org); }
  absl::Status RotateKek(const storage::KeyProvider& next) override { return store_->RotateKek(next); }
  uint64_t Generation(storage::Table table) const override { return store_->Generation(table); }
  absl::Status WaitForPurge(absl::Duration timeout) override { return store_->WaitForPurge(timeout); }
  absl::StatusOr<std::unique_ptr<storage::EngineWatch>> Watch(
      storage::Revision after, std::function<void(const storage::StoreChange&)> on_change) override {
    return store_->Watch(after, std::move(on_change));
  }
  absl::Status Verify() override { return store_->Verify(); }

 private:
  storage::Store* const store_;
};

class OrgDeletionTest : public testing::Test {
 protected:
  v1::Org Get() {
    v1::GetOrgRequest request;
    request.set_name("orgs/acme");
    return *orgs_.GetOrg(directory_.Root(), request);
  }
  bool Deleting() {
    const auto org =
        ReadRecord<storage::records::OrgRecord>(*directory_.store->View(), {storage::Table::kOrg, "", "", "acme"});
    return (*org)->record.deleting();
  }
  absl::Status Delete(const std::string& etag) {
    v1::DeleteOrgRequest request;
    request.set_name("orgs/acme");
    request.set_etag(etag);
    return orgs_.DeleteOrg(directory_.Root(), request).status();
  }

  TestDirectory directory_;
  KeepingStore keeping_{directory_.store.get()};
  OrgRules orgs_{{&keeping_, directory_.context.clock, &directory_.pages, &directory_.changes, &directory_.external}};
};

// Else one that was cut short could not be told from a keyring that somebody has taken away.
TEST_F(OrgDeletionTest, TheRecordIsMarkedBeforeTheKeyringGoes) {
  EXPECT_FALSE(Delete("stale").ok());
  EXPECT_FALSE(Deleting());
  const std::string etag = Get().etag();
  EXPECT_TRUE(absl::IsUnavailable(Delete(etag)));
  EXPECT_TRUE(Deleting());
}

TEST_F(OrgDeletionTest, OneThatFailedCanBeMadeAgainOrGivenUp) {
  const std::string etag = Get().etag();
  EXPECT_TRUE(absl::IsUnavailable(Delete(etag)));
  EXPECT_EQ(Get().etag(), etag);
  EXPECT_TRUE(absl::IsUnavailable(Delete(etag)));
  v1::UpdateOrgRequest update;
  update.mutable_org()->set_name("orgs/acme");
  update.mutable_org()->set_display_name("It stays");
  update.mutable_org()->set_etag(etag);
  ASSERT_TRUE(orgs_.UpdateOrg(directory_.Root(), update).ok());
  EXPECT_FALSE(Deleting());
}

// A release that did not mark them could leave one without its keyring.
TEST_F(OrgDeletionTest, OneThatWasCutShortWithoutAMarkCanBeMadeAnewAndDeleted) {
  const std::string old = directory_.Login("orgs/acme/users/root");
  ASSERT_TRUE(directory_.store->DestroyOrg("acme").ok());
  ASSERT_FALSE(directory_.Authenticate(old).ok());
  EXPECT_EQ(directory_.store->Verify(), absl::OkStatus()) << "its records are gone as well";
  ASSERT_TRUE(EnsureOrgWithAdmin(directory_.context, "acme", v1::TIER_BUSINESS, "ada").ok());
  EXPECT_FALSE(directory_.Authenticate(old).ok());
  const Caller ada = directory_.As("orgs/acme/users/ada");
  v1::GetOrgRequest get;
  get.set_name("orgs/acme");
  v1::DeleteOrgRequest request;
  request.set_name("orgs/acme");
  request.set_etag(directory_.orgs.GetOrg(ada, get)->etag());
  ASSERT_TRUE(directory_.orgs.DeleteOrg(ada, request).ok());
  EXPECT_FALSE(*directory_.store->View()->Contains({storage::Table::kOrg, "", "", "acme"}));
}

}  // namespace
}  // namespace keyferry::server
