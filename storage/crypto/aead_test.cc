#include "storage/crypto/aead.h"

#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "gtest/gtest.h"

namespace keyferry::storage {

class AeadVectorAccess {
 public:
  static std::string Seal(const Aead& aead, absl::string_view nonce, absl::string_view plaintext,
                          absl::string_view associated_data) {
    std::string out;
    aead.SealWithNonce(nonce, plaintext, associated_data, out);
    return out;
  }
};

namespace {

constexpr int kVectorCount = 51;

std::unique_ptr<const Aead> MakeAead(char fill) {
  auto aead = Aead::Create(SecretBytes::CopyOf(std::string(Aead::kKeySize, fill)));
  EXPECT_TRUE(aead.ok());
  return *std::move(aead);
}

std::string SealText(const Aead& aead, absl::string_view plaintext, absl::string_view associated_data) {
  std::string out;
  aead.SealTo(plaintext, associated_data, out);
  return out;
}

std::string Unhex(const std::string& field) { return field == "-" ? "" : absl::HexStringToBytes(field); }

TEST(AeadTest, PublishedVectors) {
  std::ifstream file("storage/crypto/testdata/aes_256_gcm_siv.txt");
  int count = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream fields(line);
    std::string key, nonce, plaintext, associated_data, sealed;
    ASSERT_TRUE(fields >> key >> nonce >> plaintext >> associated_data >> sealed) << line;
    auto aead = Aead::Create(SecretBytes::CopyOf(Unhex(key)));
    ASSERT_TRUE(aead.ok()) << aead.status();
    const std::string expected = Unhex(nonce) + Unhex(sealed);
    EXPECT_EQ(AeadVectorAccess::Seal(**aead, Unhex(nonce), Unhex(plaintext), Unhex(associated_data)), expected) << line;
    auto opened = (*aead)->Open(expected, Unhex(associated_data));
    ASSERT_TRUE(opened.ok()) << line;
    EXPECT_EQ(opened->Expose(), Unhex(plaintext)) << line;
    ++count;
  }
  EXPECT_EQ(count, kVectorCount);
}

TEST(AeadTest, KeySizeIsChecked) {
  for (size_t size : {0, 16, 31, 33}) {
    EXPECT_EQ(Aead::Create(SecretBytes(size)).status().code(), absl::StatusCode::kInvalidArgument) << size;
  }
}

TEST(AeadTest, EverySizeOpensAgain) {
  const auto aead = MakeAead('k');
  for (size_t size : {0, 1, 15, 16, 17, 255, 4096, 65536}) {
    const std::string text(size, 'x');
    auto opened = aead->Open(SealText(*aead, text, "ad"), "ad");
    ASSERT_TRUE(opened.ok()) << size;
    EXPECT_EQ(opened->Expose(), text);
  }
}

TEST(AeadTest, TwoSealsOfTheSameDiffer) {
  const auto aead = MakeAead('k');
  EXPECT_NE(SealText(*aead, "same", ""), SealText(*aead, "same", ""));
}

TEST(AeadTest, OtherKeyOrAssociatedDataDoesNotOpen) {
  const auto aead = MakeAead('k');
  const std::string sealed = SealText(*aead, "text", "ad");
  for (const char* other : {"", "a", "ae", "ad ", "adad"}) {
    EXPECT_EQ(aead->Open(sealed, other).status().code(), absl::StatusCode::kDataLoss) << other;
  }
  EXPECT_EQ(MakeAead('l')->Open(sealed, "ad").status().code(), absl::StatusCode::kDataLoss);
}

TEST(AeadTest, EveryFlippedBitAndEveryTruncationFails) {
  const auto aead = MakeAead('k');
  const std::string sealed = SealText(*aead, "a plaintext of more than one block", "ad");
  for (size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    std::string changed = sealed;
    changed[bit / 8] ^= static_cast<char>(1 << (bit % 8));
    ASSERT_EQ(aead->Open(changed, "ad").status().code(), absl::StatusCode::kDataLoss) << "bit " << bit;
  }
  for (size_t size = 0; size < sealed.size(); ++size) {
    ASSERT_EQ(aead->Open(sealed.substr(0, size), "ad").status().code(), absl::StatusCode::kDataLoss) << size;
  }
}

TEST(AeadTest, FailedOpenLeavesNothingInTheOutput) {
  const auto aead = MakeAead('k');
  const std::string sealed = SealText(*aead, std::string(64, 'p'), "ad");
  std::string changed = sealed;
  changed.back() ^= 1;
  struct Case {
    const char* name;
    std::string sealed;
    size_t output_size;
  };
  const std::vector<Case> cases = {
      {"tag changed", changed, 64},
      {"output too small", sealed, 63},
      {"output too large", sealed, 65},
      {"truncated below the overhead", sealed.substr(0, 20), 64},
      {"empty", "", 64},
  };
  for (const Case& test : cases) {
    std::vector<uint8_t> output(test.output_size, 0xAA);
    EXPECT_FALSE(aead->OpenInto(test.sealed, "ad", absl::MakeSpan(output)).ok()) << test.name;
    EXPECT_EQ(output, std::vector<uint8_t>(test.output_size, 0)) << test.name;
  }
}

}  // namespace
}  // namespace keyferry::storage
