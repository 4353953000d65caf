#include "server/identity/jwt/base64url.h"

#include <gtest/gtest.h>

#include "server/oauth/protocol/encoding.h"

namespace keyferry::server {
namespace {

TEST(Base64UrlTest, ReadsWhatIsWritten) {
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(DecodeBase64Url(Base64Url(bytes)), bytes) << i;
    bytes.push_back(static_cast<char>(i * 37));
  }
  EXPECT_EQ(DecodeBase64Url("-_8"), "\xfb\xff");
}

TEST(Base64UrlTest, BytesHaveOneSpelling) {
  for (const char* text : {"A", "AAAAA", "AA==", "AA=", "A A", "AA\n", "+/8", "AB", "AAB", "A.A", "\xc3\xa4"}) {
    EXPECT_EQ(DecodeBase64Url(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace keyferry::server
