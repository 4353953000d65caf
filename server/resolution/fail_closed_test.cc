// A resolution whose use cannot be recorded gives nothing out.
#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "server/credentials/testing_world.h"
#include "server/mcpservers/mcp_server_rules.h"
#include "server/resolution/resolver.h"

namespace keyferry::server {
namespace {

// Reads from another store and refuses to write.
class ReadOnlyStore : public storage::Store {
 public:
  explicit ReadOnlyStore(storage::Store* store) : store_(store) {}
  std::unique_ptr<storage::StoreView> View() override { return store_->View(); }
  absl::StatusOr<storage::Revision> Commit(const storage::Mutation&, storage::Durability) override { return Error(); }
  void SetJournalListener(storage::JournalListener) override {}
  absl::Status Sync() override { return Error(); }
  absl::Status CreateKeyring(absl::string_view) override { return Error(); }
  absl::Status DestroyOrg(absl::string_view) override { return Error(); }
  absl::StatusOr<storage::KeyringInfo> GetKeyringInfo(absl::string_view org) override {
    return store_->GetKeyringInfo(org);
  }
  absl::Status RotateDataKey(absl::string_view) override { return Error(); }
  absl::Status RotateKek(const storage::KeyProvider&) override { return Error(); }
  uint64_t Generation(storage::Table table) const override { return store_->Generation(table); }
  absl::StatusOr<std::unique_ptr<storage::EngineWatch>> Watch(
      storage::Revision after, std::function<void(const storage::StoreChange&)> on_change) override {
    return store_->Watch(after, std::move(on_change));
  }
  absl::Status WaitForPurge(absl::Duration timeout) override { return store_->WaitForPurge(timeout); }
  absl::Status Verify() override { return store_->Verify(); }

 private:
  static absl::Status Error() { return absl::ResourceExhaustedError("/data/db/000042.log: no space left"); }
  storage::Store* const store_;
};

TEST(FailClosedTest, WithoutAUsageRecordNothingIsGivenOut) {
  World world(storage::EngineKind::kMemory);
  world.Create(world.As("root"), "orgs/acme", "TOKEN", "the-secret-value");
  v1::ApplyMcpServerRequest apply;
  apply.mutable_mcp_server()->set_name("orgs/acme/mcpServers/m");
  apply.mutable_mcp_server()->set_transport(v1::MCP_TRANSPORT_HTTP);
  apply.mutable_mcp_server()->add_env()->set_variable("TOKEN");
  apply.mutable_mcp_server()->mutable_env(0)->set_org_secret("TOKEN");
  McpServerRules servers(world.store.get(), world.clock(), &world.pages);
  ASSERT_TRUE(servers.ApplyMcpServer(world.As("root"), apply).ok());

  ReadOnlyStore full(world.store.get());
  UsageRecorder::Options options;
  options.background = false;
  AuditLog::Options audit_options;
  audit_options.background = false;
  AuditLog audit(&full, audit_options);
  const auto usage = UsageRecorder::Start(&full, &audit, world.clock(), /*logger=*/nullptr, options);
  ASSERT_TRUE(usage.ok());
  Resolver resolver(&full, world.clock(), usage->get());
  v1::ResolveRequest request;
  request.set_mcp_server("orgs/acme/mcpServers/m");
  const auto resolved = resolver.Resolve(world.As("bob"), request);
  EXPECT_TRUE(absl::IsResourceExhausted(resolved.status())) << resolved.status();
  EXPECT_EQ(Told(resolved.status()).find("000042"), std::string::npos);
  EXPECT_EQ(Told(resolved.status()).find("the-secret-value"), std::string::npos);
}

}  // namespace
}  // namespace keyferry::server
