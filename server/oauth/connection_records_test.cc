#include "server/oauth/connection_records.h"

#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "keyferry/v1/connections.pb.h"
#include "storage/crypto/testing_key_provider.h"
#include "storage/open.h"
#include "storage/records/typed.h"
#include "storage/testing_store.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Table;
using testing::ElementsAre;

const absl::Time kNow = absl::FromUnixSeconds(1800000000);

TokenGrant Grant(const std::string& access, const std::string& refresh, absl::Duration lifetime = absl::Hours(1)) {
  TokenGrant grant;
  grant.access_token = storage::SecretBytes::CopyOf(access);
  grant.refresh_token = storage::SecretBytes::CopyOf(refresh);
  grant.lifetime = lifetime;
  return grant;
}

TEST(RefreshTime, IsAheadOfTheEnd) {
  struct Case {
    const char* name;
    absl::Duration lifetime;
    // Of the definition; zero for none.
    absl::Duration margin;
    double random;
    absl::Duration ahead;
  };
  for (const Case& c : {
           Case{"a fifth", absl::Hours(1), absl::ZeroDuration(), 0, absl::Minutes(12)},
           Case{"a quarter of an hour at most", absl::Hours(100), absl::ZeroDuration(), 0, absl::Minutes(15)},
           Case{"half of it earlier by chance", absl::Hours(100), absl::ZeroDuration(), 0.5, absl::Seconds(1125)},
           Case{"as stated", absl::Hours(1), absl::Seconds(70), 0, absl::Seconds(70)},
           Case{"half the lifetime at most", absl::Minutes(1), absl::Hours(1), 0, absl::Seconds(30)},
           Case{"a moment", absl::ZeroDuration(), absl::ZeroDuration(), 0, absl::ZeroDuration()},
       }) {
    SCOPED_TRACE(c.name);
    v1::OauthProvider provider;
    if (c.margin != absl::ZeroDuration()) {
      provider.mutable_refresh()->mutable_margin()->set_seconds(absl::ToInt64Seconds(c.margin));
    }
    EXPECT_EQ(RefreshTime(provider, kNow, c.lifetime, c.random), kNow + c.lifetime - c.ahead);
  }
  EXPECT_EQ(RefreshTime({}, kNow, absl::InfiniteDuration(), 0), absl::InfiniteFuture());
}

TEST(ApplyGrant, PutsWhatWasGrantedAndEndsTheFailures) {
  records::ConnectionRecord connection;
  connection.set_state(v1::CONNECTION_STATE_CONNECT_NEEDED);
  connection.set_failure_count(3);
  connection.set_last_error("no");
  connection.set_last_error_time(1);
  connection.set_pause_time(2);
  records::ConnectionTokenRecord token;
  token.set_version(4);
  TokenGrant grant = Grant("a1", "r1");
  grant.account = "ada@example.com";
  grant.scopes = {"read", "write"};
  grant.metadata = {{"z", "1"}, {"a", "2"}};
  ApplyGrant({}, grant, kNow, 0, &connection, &token);
  EXPECT_EQ(token.access_token(), "a1");
  EXPECT_EQ(token.refresh_token(), "r1");
  EXPECT_EQ(token.version(), 5);
  EXPECT_EQ(token.expire_time(), absl::ToUnixNanos(kNow + absl::Hours(1)));
  EXPECT_EQ(connection.state(), v1::CONNECTION_STATE_CONNECTED);
  EXPECT_EQ(connection.version(), 5);
  EXPECT_EQ(connection.expire_time(), token.expire_time());
  EXPECT_EQ(connection.lifetime(), absl::ToInt64Nanoseconds(absl::Hours(1)));
  EXPECT_EQ(connection.last_refresh_time(), absl::ToUnixNanos(kNow));
  EXPECT_EQ(connection.next_attempt_time(), absl::ToUnixNanos(kNow + absl::Minutes(48)));
  EXPECT_TRUE(connection.refreshable());
  EXPECT_EQ(connection.failure_count(), 0);
  EXPECT_EQ(connection.last_error(), "");
  EXPECT_EQ(connection.last_error_time(), 0);
  EXPECT_EQ(connection.pause_time(), 0);
  EXPECT_EQ(connection.account(), "ada@example.com");
  EXPECT_THAT(connection.granted_scopes(), ElementsAre("read", "write"));
  ASSERT_EQ(connection.metadata_size(), 2);
  EXPECT_EQ(connection.metadata(0).name(), "a");

  // What the next one does not say stays.
  grant = Grant("a2", "");
  grant.metadata = {{"z", "3"}};
  ApplyGrant({}, grant, kNow, 0, &connection, &token);
  EXPECT_EQ(token.access_token(), "a2");
  EXPECT_EQ(token.refresh_token(), "r1");
  EXPECT_EQ(connection.version(), 6);
  EXPECT_EQ(connection.account(), "ada@example.com");
  EXPECT_THAT(connection.granted_scopes(), ElementsAre("read", "write"));
  ASSERT_EQ(connection.metadata_size(), 2);
  EXPECT_EQ(connection.metadata(0).value(), "2");
  EXPECT_EQ(connection.metadata(1).value(), "3");
}

TEST(ApplyGrant, SaysWhenToLookAgain) {
  records::ConnectionRecord connection;
  records::ConnectionTokenRecord token;
  ApplyGrant({}, Grant("a", "r", absl::InfiniteDuration()), kNow, 0, &connection, &token);
  EXPECT_EQ(connection.expire_time(), 0);
  EXPECT_EQ(connection.lifetime(), 0);
  EXPECT_EQ(connection.next_attempt_time(), 0) << "never";
  records::ConnectionTokenRecord without;
  ApplyGrant({}, Grant("a", ""), kNow, 0, &connection, &without);
  EXPECT_FALSE(connection.refreshable());
  EXPECT_EQ(connection.next_attempt_time(), absl::ToUnixNanos(kNow + absl::Hours(1))) << "at its end";
}

TEST(CanRefresh, ByWhatThereIs) {
  struct Case {
    const char* name;
    v1::OauthGrantType grant;
    v1::OauthRefreshMethod method;
    const char* access;
    const char* refresh;
    bool can;
  };
  const auto code = v1::OAUTH_GRANT_TYPE_AUTHORIZATION_CODE;
  const auto by_refresh = v1::OAUTH_REFRESH_METHOD_REFRESH_TOKEN;
  const auto by_access = v1::OAUTH_REFRESH_METHOD_ACCESS_TOKEN;
  for (const Case& c : {
           Case{"refresh token", code, by_refresh, "a", "r", true},
           Case{"none", code, by_refresh, "a", "", false},
           Case{"nothing said", v1::OAUTH_GRANT_TYPE_UNSPECIFIED, v1::OAUTH_REFRESH_METHOD_UNSPECIFIED, "a", "", false},
           Case{"access token", code, by_access, "a", "", true},
           Case{"no access token", code, by_access, "", "r", false},
           Case{"never", code, v1::OAUTH_REFRESH_METHOD_NONE, "a", "r", false},
           Case{"asked for anew", v1::OAUTH_GRANT_TYPE_CLIENT_CREDENTIALS, by_refresh, "a", "", true},
           Case{"never, of a machine", v1::OAUTH_GRANT_TYPE_CLIENT_CREDENTIALS, v1::OAUTH_REFRESH_METHOD_NONE, "a", "",
                false},
       }) {
    SCOPED_TRACE(c.name);
    v1::OauthProvider provider;
    provider.set_grant_type(c.grant);
    provider.mutable_refresh()->set_method(c.method);
    records::ConnectionTokenRecord token;
    token.set_access_token(c.access);
    token.set_refresh_token(c.refresh);
    EXPECT_EQ(CanRefresh(provider, token), c.can);
  }
}

TEST(ReadProvider, FindsWhatIsThereAndStays) {
  storage::FakeKeyProvider kek(1);
  storage::TestEngine engine(storage::EngineKind::kMemory);
  auto opened = storage::OpenStoreOn(engine.Borrow(), /*create=*/true, kek);
  ASSERT_TRUE(opened.ok()) << opened.status();
  storage::Store& store = **opened;
  ASSERT_TRUE(store.CreateKeyring("acme").ok());
  const auto put = [&](const std::string& definition, bool deleting) {
    records::OauthProviderRecord record;
    record.set_definition(definition);
    record.set_signing_key("key");
    record.set_deleting(deleting);
    storage::Mutation mutation;
    mutation.Put(ProviderKey("acme", "github"), storage::SerializeSecret(record), /*version=*/1, std::nullopt);
    ASSERT_TRUE(store.Commit(mutation, storage::Durability::kSynced).ok());
  };
  const auto read = [&] { return ReadProvider(*store.View(), "acme", "github"); };
  EXPECT_EQ(*read(), nullptr);
  v1::OauthProvider provider;
  provider.set_name("github");
  put(provider.SerializeAsString(), /*deleting=*/false);
  EXPECT_EQ((*read())->provider.name(), "github");
  EXPECT_EQ((*read())->signing_key.Expose(), "key");
  put(provider.SerializeAsString(), /*deleting=*/true);
  EXPECT_EQ(*read(), nullptr);
  put("\xFF no definition", /*deleting=*/false);
  EXPECT_TRUE(absl::IsDataLoss(read().status()));
  EXPECT_TRUE(absl::IsNotFound(ReadProvider(*store.View(), "nobody", "github").status()));
}

}  // namespace
}  // namespace keyferry::server
