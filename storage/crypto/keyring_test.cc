#include "storage/crypto/keyring.h"

#include <string>

#include "gtest/gtest.h"

namespace keyferry::storage {
namespace {

TEST(KeyringTest, ParseReturnsWhatWasSerialized) {
  Keyring keyring = Keyring::Generate("acme");
  keyring.AddDataKey();
  const SecretBytes bytes = keyring.Serialize();
  auto parsed = Keyring::Parse(bytes.Expose());
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->org, "acme");
  EXPECT_EQ(parsed->current_id(), 2);
  EXPECT_TRUE(ConstantTimeEquals(parsed->Serialize().Expose(), bytes.Expose()));
}

TEST(KeyringTest, KeysAreRandomAndIdsNeverReused) {
  Keyring keyring = Keyring::Generate("acme");
  EXPECT_EQ(keyring.current_id(), 1);
  keyring.AddDataKey();
  keyring.DropOldDataKeys();
  ASSERT_EQ(keyring.data_keys.size(), 1);
  keyring.AddDataKey();
  EXPECT_EQ(keyring.current_id(), 3);
  EXPECT_FALSE(ConstantTimeEquals(keyring.data_keys[0].key.Expose(), keyring.data_keys[1].key.Expose()));
  EXPECT_FALSE(ConstantTimeEquals(keyring.prf_key.Expose(), Keyring::Generate("acme").prf_key.Expose()));
}

TEST(KeyringTest, MalformedBytesAreDataLoss) {
  const std::string good(Keyring::Generate("acme").Serialize().Expose());
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_EQ(Keyring::Parse(good.substr(0, size)).status().code(), absl::StatusCode::kDataLoss) << size;
  }
  EXPECT_EQ(Keyring::Parse(good + "x").status().code(), absl::StatusCode::kDataLoss);
  std::string version = good;
  version[0] = 2;
  EXPECT_EQ(Keyring::Parse(version).status().code(), absl::StatusCode::kDataLoss);
  // Key id 0, which none has.
  std::string id = good;
  id[good.size() - 33] = 0;
  EXPECT_EQ(Keyring::Parse(id).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace keyferry::storage
