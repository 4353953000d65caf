#include "server/oauth/providers/provider_deletion.h"

#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "keyferry/v1/mcp_servers.pb.h"
#include "server/errors.h"
#include "server/oauth/connection_records.h"
#include "server/oauth/providers/testing_providers.h"
#include "server/records.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::EngineKind;
using storage::Table;

class ProviderDeletionTest : public testing::TestWithParam<EngineKind> {
 protected:
  ProviderDeletionTest() {
    Make("idp");
    Make("spare");
  }

  void Make(const std::string& id) {
    const auto created = w_.Create(w_.Admin(), ProviderWorld::Definition(), id);
    ASSERT_TRUE(created.ok()) << created.status();
  }

  void Attempt(const std::string& id, const std::string& provider) {
    records::ConnectionAttemptRecord attempt;
    attempt.set_parent("users/ada");
    attempt.set_id(id);
    attempt.set_provider(provider);
    attempt.set_start_hash("start-" + id);
    attempt.set_state_hash("state-" + id);
    storage::Mutation mutation;
    mutation.Put({Table::kConnectionAttempt, "acme", "users/ada", id}, storage::SerializeSecret(attempt), 1, 0);
    for (const std::string& hash : {attempt.start_hash(), attempt.state_hash()}) {
      mutation.Put({Table::kConnectionAttemptIndex, "", "", absl::BytesToHexString(hash)},
                   storage::SerializeSecret(records::ConnectionAttemptIndexRecord()), 1, 0);
    }
    ASSERT_TRUE(w_.world.store->Commit(mutation, storage::Durability::kSynced).ok());
  }

  void Bind(const std::string& parent, const std::string& id, const std::string& provider) {
    v1::McpServer definition;
    definition.add_env()->set_oauth(provider);
    records::McpServerRecord record;
    record.set_parent(parent);
    record.set_id(id);
    record.set_definition(definition.SerializeAsString());
    storage::Mutation mutation;
    mutation.Put({Table::kMcpServer, "acme", parent, id}, storage::SerializeSecret(record), 1, 0);
    ASSERT_TRUE(w_.world.store->Commit(mutation, storage::Durability::kSynced).ok());
  }

  // A process that holds a token of the connection.
  void Run(const std::string& process, const std::string& provider) {
    ResolutionEvent event;
    event.org = "acme";
    event.mcp_server = "orgs/acme/mcpServers/tool";
    event.principal = "orgs/acme/users/ada";
    event.process.set_process_id(process);
    UsedCredential used;
    used.parent = "users/ada";
    used.id = absl::StrCat("connections/", provider);
    used.version = 1;
    event.credentials.push_back(used);
    ASSERT_NE(w_.processes.Observe(event, w_.world.now), "");
  }

  std::string Mark(const std::string& id) {
    auto stored = LoadStoredProvider(*w_.world.store->View(), "acme", id);
    (*stored)->record->set_deleting(true);
    storage::Mutation mutation;
    mutation.Put(ProviderKey("acme", id), storage::SerializeSecret(*(*stored)->record), 9, (*stored)->revision);
    return w_.world.store->Commit(mutation, storage::Durability::kSynced).status().ToString();
  }

  ProviderWorld w_{GetParam()};
};

TEST_P(ProviderDeletionTest, SaysWhoIsAffectedAndChangesNothing) {
  for (const char* parent : {"", "teams/ops", "teams/eng", "users/ada", "users/bob"}) w_.Connect(parent);
  w_.Connect("users/ada", "spare");
  w_.Connect("", "idp", "other");
  Bind("", "tool", "idp");
  Bind("teams/eng", "builder", "idp");
  Bind("", "free", "spare");
  Run("p1", "idp");
  Run("p2", "spare");
  const storage::Revision before = w_.world.Revision();
  const auto affected = w_.Delete(w_.Admin(), ProviderWorld::kName, "", /*validate_only=*/true);
  ASSERT_TRUE(affected.ok()) << affected.status();
  EXPECT_EQ(std::vector<std::string>(affected->shared_connections().begin(), affected->shared_connections().end()),
            (std::vector<std::string>{"orgs/acme/connections/idp", "orgs/acme/teams/eng/connections/idp",
                                      "orgs/acme/teams/ops/connections/idp"}));
  EXPECT_EQ(affected->user_connection_count(), 2);
  EXPECT_EQ(std::vector<std::string>(affected->mcp_servers().begin(), affected->mcp_servers().end()),
            (std::vector<std::string>{"orgs/acme/mcpServers/tool", "orgs/acme/teams/eng/mcpServers/builder"}));
  EXPECT_EQ(affected->process_count(), 1);
  EXPECT_EQ(w_.world.Revision(), before);
  EXPECT_TRUE(w_.gone.empty());
}

TEST_P(ProviderDeletionTest, RemovesEverythingAndRevokes) {
  // More than one commit's worth.
  for (int i = 0; i < 47; ++i) w_.Connect(absl::StrCat("users/u", i));
  w_.Connect("");
  w_.Connect("teams/eng");
  w_.Connect("users/ada", "spare");
  w_.Connect("users/ada", "idp", "other");
  Attempt("a1", "idp");
  Attempt("a2", "spare");
  const auto deleted = w_.Delete(w_.Admin());
  ASSERT_TRUE(deleted.ok()) << deleted.status();
  EXPECT_EQ(deleted->user_connection_count(), 47);
  EXPECT_EQ(w_.gone.size(), 49u);
  EXPECT_EQ(w_.Count(Table::kConnection), 1);
  EXPECT_EQ(w_.Count(Table::kConnectionToken), 1);
  EXPECT_EQ(w_.Count(Table::kConnectionLease), 1);
  EXPECT_EQ(w_.Count(Table::kConnectionAttempt), 1);
  EXPECT_EQ(w_.Count(Table::kConnectionAttemptIndex, ""), 2);
  EXPECT_EQ(w_.Count(Table::kRevocation), 49);
  EXPECT_EQ(w_.Count(Table::kOauthProvider), 1);
  EXPECT_EQ(w_.Count(Table::kConnection, "other"), 1) << "of another organization";
  EXPECT_EQ(w_.Get(w_.Admin()).status(), NotFound(ProviderWorld::kName));
  EXPECT_EQ(w_.Delete(w_.Admin()).status(), NotFound(ProviderWorld::kName));
  // What revokes has all that it needs.
  const auto revocations =
      ScanRecords<records::RevocationRecord>(*w_.world.store->View(), Table::kRevocation, "acme", "");
  ASSERT_TRUE(revocations.ok());
  for (const auto& one : *revocations) {
    v1::OauthProvider definition;
    ASSERT_TRUE(definition.ParseFromString(one.record.provider().definition()));
    EXPECT_EQ(definition.endpoints().revocation_url(), "https://provider.test/revoke");
    EXPECT_TRUE(absl::StrContains(one.record.refresh_token(), "-refresh-"));
  }
}

TEST_P(ProviderDeletionTest, AStaleEtagDeletesNothing) {
  w_.Connect("");
  const storage::Revision before = w_.world.Revision();
  EXPECT_EQ(DetailOf(w_.Delete(w_.Admin(), ProviderWorld::kName, "stale").status()).reason(), "STALE_ETAG");
  EXPECT_EQ(DetailOf(w_.Delete(w_.Admin(), ProviderWorld::kName, "stale", /*validate_only=*/true).status()).reason(),
            "STALE_ETAG");
  EXPECT_EQ(w_.world.Revision(), before);
}

// The server ends after the provider was marked: it is gone for everybody, and the next start removes the rest.
TEST_P(ProviderDeletionTest, IsFinishedByTheNextStart) {
  for (const char* parent : {"", "users/ada"}) w_.Connect(parent);
  w_.Connect("", "spare");
  ASSERT_EQ(Mark("idp"), "OK");
  EXPECT_EQ(w_.Get(w_.Admin()).status(), NotFound(ProviderWorld::kName));
  EXPECT_EQ(w_.Check(w_.Admin()).status(), NotFound(ProviderWorld::kName));
  EXPECT_EQ(w_.Update(w_.Admin(), "update_mask { paths: 'display_name' }").status(), NotFound(ProviderWorld::kName));
  EXPECT_EQ(*ReadProvider(*w_.world.store->View(), "acme", "idp"), nullptr);
  v1::ListOauthProvidersRequest list;
  list.set_parent("orgs/acme");
  EXPECT_EQ(w_.rules.ListOauthProviders(w_.Admin(), list)->oauth_providers_size(), 1);
  ASSERT_TRUE(FinishDeletions(w_.world.store.get(), w_.world.now).ok());
  EXPECT_EQ(w_.Count(Table::kOauthProvider), 1);
  EXPECT_EQ(w_.Count(Table::kConnection), 1);
  EXPECT_EQ(w_.Count(Table::kConnectionToken), 1);
  EXPECT_EQ(w_.Count(Table::kRevocation), 2);
  ASSERT_TRUE(FinishDeletions(w_.world.store.get(), w_.world.now).ok()) << "nothing is left to do";
}

// Tokens of the provider that was must not go to one of the same name.
TEST_P(ProviderDeletionTest, ANewProviderOfTheSameIdFindsNoConnections) {
  w_.Connect("users/ada");
  ASSERT_EQ(Mark("idp"), "OK");
  const auto created = w_.Create(w_.Admin(), ProviderWorld::Definition());
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ(w_.Count(Table::kConnection), 0);
  EXPECT_EQ(w_.Count(Table::kConnectionToken), 0);
  EXPECT_EQ(w_.Count(Table::kRevocation), 1);
}

TEST_P(ProviderDeletionTest, OnlyWhatIsMarkedIsRemoved) {
  w_.Connect("");
  const auto changed = [](const ConnectionKey&) {};
  EXPECT_FALSE(FinishDeletion(w_.world.store.get(), "acme", "idp", w_.world.now, changed).ok());
  EXPECT_EQ(w_.Count(Table::kConnection), 1);
  EXPECT_TRUE(FinishDeletion(w_.world.store.get(), "acme", "none", w_.world.now, changed).ok());
}

INSTANTIATE_TEST_SUITE_P(Engines, ProviderDeletionTest, testing::Values(EngineKind::kMemory, EngineKind::kRocksDb),
                         [](const auto& info) { return storage::EngineName(info.param); });

}  // namespace
}  // namespace keyferry::server
