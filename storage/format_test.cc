// The worked example of storage/FORMAT.md: if this fails, the persisted form has changed.

#include "storage/format.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "storage/envelope.h"
#include "storage/org_keys.h"
#include "storage/root_keys.h"

namespace keyferry::storage {
namespace {

constexpr char kOrgTag[] = "018374e779f2f598ebe4cde16f8d55c3";
constexpr char kParentTag[] = "1c0e9f0b35bf730fc4c754fcfb23c457";
constexpr char kIdTag[] = "184d180403f97b0f08020ae368f8a240";
constexpr char kSealed[] =
    "01000000010000000000000003"
    "c30f45682abe4e3eaf0c0debcb02d8e513061a38110c6d248c67c55de901953d7d";
constexpr char kSealedKeyring[] =
    "01"
    "aa5533ce13480503984d953301809761843220d96c87ef03fc9c73085aa3e02996bd6460ee560a48110be9780542483a"
    "6fb02a79a6fae20f8b781dece067e89f58adea7fa6e6c3c3bfa4a10d6fb8df2b6dc968f6ee29a5b30893980dd1495274"
    "ab9d840916ca40cc24";

// 32 bytes that count up from `first`.
SecretBytes CountingKey(uint8_t first) {
  SecretBytes key(32);
  for (size_t i = 0; i < key.size(); ++i) key.ExposeMutable()[i] = static_cast<uint8_t>(first + i);
  return key;
}

Keyring ExampleKeyring() {
  Keyring keyring;
  keyring.org = "acme";
  keyring.prf_key = CountingKey(0x20);
  keyring.data_keys.push_back({1, CountingKey(0x40)});
  return keyring;
}

class FormatTest : public testing::Test {
 protected:
  FormatTest() {
    root_ = *RootKeys::Make(CountingKey(0x00));
    keys_ = *OrgKeys::Make(ExampleKeyring(), /*revision=*/1, /*engine=*/nullptr, root_.get(), kSealBlock);
  }
  std::string RecordKeyText() {
    return std::string(keys_->RecordKeyFor(Table::kCredentialValue, "teams/eng", "GITHUB_TOKEN").view());
  }

  std::unique_ptr<const RootKeys> root_;
  std::shared_ptr<const OrgKeys> keys_;
};

TEST_F(FormatTest, EngineKeys) {
  EXPECT_EQ(absl::BytesToHexString(RecordKeyText()), absl::StrCat("10", kOrgTag, "21", kParentTag, kIdTag));
  EXPECT_EQ(absl::BytesToHexString(keys_->engine_key()), absl::StrCat("01", kOrgTag));
}

// Registered at other servers: a change would cut every client off.
TEST_F(FormatTest, PublicIds) {
  EXPECT_EQ(absl::BytesToHexString(keys_->PublicId("oauth callback/github")), "a2d854bf6789948d62617aa93b52703d");
}

TEST_F(FormatTest, SealedRecordOpens) {
  const std::string sealed = absl::HexStringToBytes(kSealed);
  const auto payload = OpenRecord(keys_->current(), RecordKeyText(), sealed);
  ASSERT_TRUE(payload.ok()) << payload.status();
  EXPECT_EQ(payload->Expose(), "hello");
  EXPECT_EQ(ParseSealedRecord(sealed)->version, 3);
  EXPECT_EQ(ParseSealedRecord(sealed)->key_id, 1);
}

TEST_F(FormatTest, SealedKeyringOpens) {
  const auto plaintext = root_->Open(keys_->engine_key(), absl::HexStringToBytes(kSealedKeyring));
  ASSERT_TRUE(plaintext.ok()) << plaintext.status();
  EXPECT_TRUE(ConstantTimeEquals(plaintext->Expose(), ExampleKeyring().Serialize().Expose()));
}

TEST_F(FormatTest, SealedKeyringOpensOnlyInItsPlace) {
  const std::string sealed = absl::HexStringToBytes(kSealedKeyring);
  for (std::string other : {SpaceKey(Space::kKeyring, std::string(kTagSize, 'x')), keys_->engine_key() + "x",
                            SpaceKey(Space::kSealCount, keys_->engine_key().substr(1))}) {
    EXPECT_EQ(root_->Open(other, sealed).status().code(), absl::StatusCode::kDataLoss);
  }
  EXPECT_EQ((*RootKeys::Make(CountingKey(0x01)))->Open(keys_->engine_key(), sealed).status().code(),
            absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace keyferry::storage
