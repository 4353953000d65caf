#include "storage/crypto/prf.h"

#include <set>
#include <string>

#include "absl/strings/escaping.h"
#include "gtest/gtest.h"
#include "openssl/digest.h"
#include "openssl/hmac.h"

namespace keyferry::storage {
namespace {

std::string Hex(const Prf::Tag& tag) { return absl::BytesToHexString(absl::string_view(tag.data(), tag.size())); }

// RFC 4231, test cases 1 to 4, truncated to 128 bits; test case 5 is a truncation itself.
TEST(PrfTest, PublishedVectors) {
  struct Case {
    std::string key, data;
    const char* tag;
  };
  const Case cases[] = {
      {std::string(20, '\x0b'), "Hi There", "b0344c61d8db38535ca8afceaf0bf12b"},
      {"Jefe", "what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c7"},
      {std::string(20, '\xaa'), std::string(50, '\xdd'), "773ea91e36800e46854db8ebd09181a7"},
      {absl::HexStringToBytes("0102030405060708090a0b0c0d0e0f10111213141516171819"), std::string(50, '\xcd'),
       "82558a389a443c0ea4cc819899f2083a"},
      {std::string(20, '\x0c'), "Test With Truncation", "a3b6167473100ee06e0c796c2955552b"},
  };
  for (const Case& test : cases) {
    EXPECT_EQ(Hex(Prf(SecretBytes::CopyOf(test.key)).Compute({test.data})), test.tag) << test.data;
  }
}

TEST(PrfTest, EqualsHmacAtEveryLengthAndHoweverSplit) {
  const std::string key(32, 'k');
  const Prf prf(SecretBytes::CopyOf(key));
  for (size_t size = 0; size < 200; ++size) {
    const std::string data(size, static_cast<char>(size));
    uint8_t full[32];
    unsigned length = 0;
    HMAC(EVP_sha256(), key.data(), key.size(), reinterpret_cast<const uint8_t*>(data.data()), data.size(), full,
         &length);
    const std::string expected = absl::BytesToHexString(std::string(reinterpret_cast<char*>(full), 16));
    EXPECT_EQ(Hex(prf.Compute({data})), expected) << size;
    EXPECT_EQ(Hex(prf.Compute({data.substr(0, size / 3), "", data.substr(size / 3)})), expected) << size;
  }
}

TEST(PrfTest, DerivedKeysDifferByLabelAndKey) {
  std::set<std::string> keys;
  for (const char* root : {"root key one", "root key two"}) {
    for (const char* label : {"a", "b", ""}) {
      keys.insert(std::string(DeriveKey(SecretBytes::CopyOf(root), label).Expose()));
    }
  }
  EXPECT_EQ(keys.size(), 6);
}

}  // namespace
}  // namespace keyferry::storage
