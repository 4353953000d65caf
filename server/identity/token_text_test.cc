#include "server/identity/token_text.h"

#include <set>
#include <string>

#include "gtest/gtest.h"

namespace keyferry::server {
namespace {

TEST(TokenTextTest, HasTheDocumentedForm) {
  struct Case {
    PrincipalKind kind;
    std::string head;
  };
  for (const Case& c : {Case{PrincipalKind::kUser, "kf_u_"}, Case{PrincipalKind::kService, "kf_s_"},
                        Case{PrincipalKind::kWorkload, "kf_w_"}}) {
    const storage::SecretBytes text = MakeTokenText(c.kind);
    EXPECT_EQ(text.size(), 54u);
    EXPECT_EQ(text.Expose().substr(0, 5), c.head);
    EXPECT_TRUE(IsTokenText(text.Expose()));
  }
}

TEST(TokenTextTest, EverySingleCharacterTypoIsDetected) {
  const storage::SecretBytes text = MakeTokenText(PrincipalKind::kUser);
  for (size_t i = 0; i < text.size(); ++i) {
    for (int c = 0; c < 256; ++c) {
      std::string typo(text.Expose());
      if (typo[i] == static_cast<char>(c)) continue;
      typo[i] = static_cast<char>(c);
      EXPECT_FALSE(IsTokenText(typo)) << "position " << i << ", character " << c;
    }
  }
}

TEST(TokenTextTest, SwappedNeighboursAreDetected) {
  const storage::SecretBytes text = MakeTokenText(PrincipalKind::kWorkload);
  for (size_t i = 0; i + 1 < text.size(); ++i) {
    std::string swapped(text.Expose());
    std::swap(swapped[i], swapped[i + 1]);
    EXPECT_EQ(IsTokenText(swapped), swapped == text.Expose()) << i;
  }
}

TEST(TokenTextTest, EveryOtherLengthIsRefused) {
  const storage::SecretBytes text = MakeTokenText(PrincipalKind::kService);
  for (size_t length = 0; length < text.size(); ++length) EXPECT_FALSE(IsTokenText(text.Expose().substr(0, length)));
  EXPECT_FALSE(IsTokenText(std::string(text.Expose()) + "0"));
  EXPECT_FALSE(IsTokenText(std::string(text.Expose()) + "\n"));
}

TEST(TokenTextTest, TokensDiffer) {
  std::set<std::string> hashes;
  for (int i = 0; i < 1000; ++i) hashes.insert(HashTokenText(MakeTokenText(PrincipalKind::kUser).Expose()));
  EXPECT_EQ(hashes.size(), 1000u);
}

// FIPS 180-4's example, so that the stored hash stays what it is.
TEST(TokenTextTest, HashIsSha256) {
  EXPECT_EQ(HashTokenText("abc").substr(0, 4), "\xba\x78\x16\xbf");
  EXPECT_EQ(HashTokenText("abc").size(), 32u);
}

}  // namespace
}  // namespace keyferry::server
