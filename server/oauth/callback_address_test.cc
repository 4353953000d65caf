#include "server/oauth/callback_address.h"

#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/directory/testing_directory.h"

namespace keyferry::server {
namespace {

class CallbackAddressTest : public testing::Test {
 protected:
  std::string IdOf(const std::string& org, const std::string& provider) {
    const auto id = CallbackIdOf(*directory_.store->View(), org, provider);
    EXPECT_TRUE(id.ok()) << id.status();
    return id.ok() ? *id : "";
  }

  TestDirectory directory_;
};

TEST_F(CallbackAddressTest, IsItsOwnForEachProviderOfEachOrganization) {
  ASSERT_TRUE(directory_.store->CreateKeyring("other").ok());
  std::set<std::string> ids;
  for (const char* org : {"acme", "other"}) {
    for (const char* provider : {"google", "googl", "googles", "acme", "a"}) {
      const std::string id = IdOf(org, provider);
      EXPECT_TRUE(IsCallbackId(id)) << id;
      EXPECT_EQ(id, IdOf(org, provider));
      ids.insert(id);
    }
  }
  EXPECT_EQ(ids.size(), 10u);
  EXPECT_EQ(CallbackIdOf(*directory_.store->View(), "nowhere", "google").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(CallbackAddressTest, IsTheSameWithOtherDataKeys) {
  const std::string before = IdOf("acme", "google");
  ASSERT_TRUE(directory_.store->RotateDataKey("acme").ok());
  ASSERT_TRUE(directory_.store->WaitForPurge(absl::Seconds(60)).ok());
  EXPECT_EQ(IdOf("acme", "google"), before);
}

TEST_F(CallbackAddressTest, StandsInTheRedirectUri) {
  const auto view = directory_.store->View();
  EXPECT_EQ(*RedirectUriOf(*view, "https://keyferry.example:8443", "acme", "google"),
            absl::StrCat("https://keyferry.example:8443/oauth/callback/", IdOf("acme", "google")));
  EXPECT_EQ(*RedirectUriOf(*view, "", "acme", "google"), "");
}

TEST(CallbackIdTest, HasOneForm) {
  EXPECT_TRUE(IsCallbackId("00112233445566778899aabbccddeeff"));
  for (const char* bad :
       {"", "0011", "00112233445566778899aabbccddeef", "00112233445566778899aabbccddeeff0",
        "00112233445566778899AABBCCDDEEFF", "00112233445566778899aabbccddeefg", "0011223344556677/899aabbccddeeff",
        "%30112233445566778899aabbccddeef", "../oauth/start?t=aaaaaaaaaaaaaaa"}) {
    EXPECT_FALSE(IsCallbackId(bad)) << bad;
  }
}

}  // namespace
}  // namespace keyferry::server
