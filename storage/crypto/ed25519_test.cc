#include "storage/crypto/ed25519.h"

#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/escaping.h"
#include "gtest/gtest.h"

namespace keyferry::storage {
namespace {

constexpr int kVectorCount = 5;

std::unique_ptr<const Ed25519Signer> MakeSigner(char fill) {
  auto signer = Ed25519Signer::Create(SecretBytes::CopyOf(std::string(Ed25519Signer::kPrivateKeySize, fill)));
  EXPECT_TRUE(signer.ok());
  return *std::move(signer);
}

std::string Unhex(const std::string& field) { return field == "-" ? "" : absl::HexStringToBytes(field); }

TEST(Ed25519Test, PublishedVectors) {
  std::ifstream file("storage/crypto/testdata/ed25519.txt");
  int count = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream fields(line);
    std::string private_key, public_key, message, signature;
    ASSERT_TRUE(fields >> private_key >> public_key >> message >> signature) << line;
    const auto signer = Ed25519Signer::Create(SecretBytes::CopyOf(Unhex(private_key)));
    ASSERT_TRUE(signer.ok()) << signer.status();
    EXPECT_EQ(absl::BytesToHexString((*signer)->public_key()), public_key);
    EXPECT_EQ(absl::BytesToHexString((*signer)->Sign(Unhex(message))), signature);
    EXPECT_TRUE(Ed25519Verify(Unhex(public_key), Unhex(message), Unhex(signature)));
    ++count;
  }
  EXPECT_EQ(count, kVectorCount);
}

TEST(Ed25519Test, PrivateKeysHaveOneSize) {
  for (size_t size : {0, 31, 33, 64}) {
    EXPECT_EQ(Ed25519Signer::Create(SecretBytes(size)).status().code(), absl::StatusCode::kInvalidArgument) << size;
  }
}

TEST(Ed25519Test, EveryFlippedBitIsRefused) {
  const auto signer = MakeSigner('a');
  const std::string message = "what was said";
  const std::string signature = signer->Sign(message);
  const auto flip = [](std::string text, size_t bit) {
    text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << (bit % 8)));
    return text;
  };
  for (size_t bit = 0; bit < signature.size() * 8; ++bit) {
    EXPECT_FALSE(Ed25519Verify(signer->public_key(), message, flip(signature, bit))) << bit;
  }
  for (size_t bit = 0; bit < message.size() * 8; ++bit) {
    EXPECT_FALSE(Ed25519Verify(signer->public_key(), flip(message, bit), signature)) << bit;
  }
  for (size_t bit = 0; bit < signer->public_key().size() * 8; ++bit) {
    EXPECT_FALSE(Ed25519Verify(flip(signer->public_key(), bit), message, signature)) << bit;
  }
}

TEST(Ed25519Test, EveryOtherLengthAndKeyIsRefused) {
  const auto signer = MakeSigner('a');
  const std::string signature = signer->Sign("m");
  for (size_t size = 0; size < signature.size(); ++size) {
    EXPECT_FALSE(Ed25519Verify(signer->public_key(), "m", signature.substr(0, size))) << size;
  }
  EXPECT_FALSE(Ed25519Verify(signer->public_key(), "m", signature + '\0'));
  EXPECT_FALSE(Ed25519Verify(signer->public_key().substr(1), "m", signature));
  EXPECT_FALSE(Ed25519Verify(signer->public_key() + 'x', "m", signature));
  EXPECT_FALSE(Ed25519Verify("", "m", signature));
  EXPECT_FALSE(Ed25519Verify(MakeSigner('b')->public_key(), "m", signature));
}

// S + L satisfies the same equation as S; taking it would give every signature a second form.
TEST(Ed25519Test, AnUnreducedSIsRefused) {
  const auto signer = MakeSigner('a');
  std::string signature = signer->Sign("m");
  const std::string order = absl::HexStringToBytes("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
  unsigned carry = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    const unsigned sum = static_cast<uint8_t>(signature[32 + i]) + static_cast<uint8_t>(order[i]) + carry;
    signature[32 + i] = static_cast<char>(sum);
    carry = sum >> 8;
  }
  ASSERT_EQ(carry, 0u);
  EXPECT_FALSE(Ed25519Verify(signer->public_key(), "m", signature));
}

}  // namespace
}  // namespace keyferry::storage
