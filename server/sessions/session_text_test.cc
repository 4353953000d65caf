#include "server/sessions/session_text.h"

#include <memory>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"

namespace keyferry::server {
namespace {

std::unique_ptr<const storage::Ed25519Signer> Signer(char fill = 'k') {
  auto signer = storage::Ed25519Signer::Create(storage::SecretBytes::CopyOf(std::string(32, fill)));
  EXPECT_TRUE(signer.ok());
  return *std::move(signer);
}

v1::SessionTokenPayload Payload() {
  v1::SessionTokenPayload payload;
  payload.set_version(1);
  payload.set_org("acme");
  payload.set_session("0123456789abcdef0123456789abcdef");
  payload.set_key_id(1);
  payload.set_expire_time_seconds(1800003600);
  return payload;
}

std::string Text(const v1::SessionTokenPayload& payload) {
  return std::string(MakeSessionText(payload, *Signer()).Expose());
}

// A text of any payload bytes with the signature of the real one.
std::string WithPayloadBytes(const std::string& bytes) {
  const std::string real = Text(Payload());
  return absl::StrCat("kfs_", absl::WebSafeBase64Escape(bytes), real.substr(real.find('.')));
}

TEST(SessionTextTest, WhatIsMadeIsParsedAndItsSignatureHolds) {
  const std::string text = Text(Payload());
  const auto token = ParseSessionText(text);
  ASSERT_TRUE(token.has_value());
  EXPECT_EQ(token->payload.SerializeAsString(), Payload().SerializeAsString());
  EXPECT_TRUE(token->IsSignedBy(Signer()->public_key()));
  EXPECT_FALSE(token->IsSignedBy(Signer('x')->public_key()));
  EXPECT_FALSE(token->IsSignedBy(""));
}

// Whoever verifies tokens elsewhere depends on these bytes.
TEST(SessionTextTest, HasTheDocumentedForm) {
  const std::vector<std::string> parts = absl::StrSplit(Text(Payload()).substr(4), '.');
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(Text(Payload()).substr(0, 4), "kfs_");
  std::string payload;
  std::string signature;
  ASSERT_TRUE(absl::WebSafeBase64Unescape(parts[0], &payload));
  ASSERT_TRUE(absl::WebSafeBase64Unescape(parts[1], &signature));
  EXPECT_TRUE(storage::Ed25519Verify(Signer()->public_key(), "keyferry session v1:" + payload, signature));
  EXPECT_FALSE(storage::Ed25519Verify(Signer()->public_key(), payload, signature)) << "without its prefix";
}

TEST(SessionTextTest, TheLongestIsBelowTheLimit) {
  v1::SessionTokenPayload payload = Payload();
  payload.set_org(std::string(63, 'a'));
  payload.set_key_id(INT64_MAX);
  payload.set_expire_time_seconds(9223372036);
  EXPECT_LE(Text(payload).size(), kMaxSessionTextBytes);
  EXPECT_TRUE(ParseSessionText(Text(payload)).has_value());
}

// No changed character leaves a token whose signature holds.
TEST(SessionTextTest, EveryChangedCharacterAndLengthIsNoticed) {
  const std::string text = Text(Payload());
  const std::string key = Signer()->public_key();
  for (size_t i = 0; i < text.size(); ++i) {
    for (int c = 0; c < 256; ++c) {
      std::string changed = text;
      changed[i] = static_cast<char>(c);
      if (changed == text) continue;
      const auto token = ParseSessionText(changed);
      EXPECT_FALSE(token.has_value() && token->IsSignedBy(key)) << "position " << i << ", character " << c;
    }
    const auto cut = ParseSessionText(text.substr(0, i));
    EXPECT_FALSE(cut.has_value()) << i;
  }
  for (const char* end : {"=", "A", "\n", " ", ".", "=="})
    EXPECT_FALSE(ParseSessionText(text + end).has_value()) << end;
  EXPECT_FALSE(ParseSessionText(" " + text).has_value());
  EXPECT_FALSE(ParseSessionText("Bearer " + text).has_value());
}

TEST(SessionTextTest, RefusesEveryOtherSpellingOfAPayload) {
  const std::string bytes = Payload().SerializeAsString();
  ASSERT_TRUE(ParseSessionText(WithPayloadBytes(bytes)).has_value());
  v1::SessionTokenPayload two = Payload();
  two.set_version(2);
  v1::SessionTokenPayload no_org = Payload();
  no_org.set_org("../x");
  v1::SessionTokenPayload no_session = Payload();
  no_session.set_session("0123456789ABCDEF0123456789abcdef");
  v1::SessionTokenPayload short_session = Payload();
  short_session.set_session("0123");
  v1::SessionTokenPayload no_key = Payload();
  no_key.set_key_id(-1);
  v1::SessionTokenPayload no_end = Payload();
  no_end.set_expire_time_seconds(0);
  v1::SessionTokenPayload huge_end = Payload();
  huge_end.set_expire_time_seconds(INT64_MAX);
  const struct {
    std::string name;
    std::string bytes;
  } cases[] = {
      {"empty", ""},
      {"no message", "\xff\xff"},
      {"a field twice", bytes + std::string("\x08\x01", 2)},
      {"an unknown field", bytes + std::string("\x78\x01", 2)},
      {"an overlong number", std::string("\x08\x81\x00", 3) + bytes.substr(2)},
      {"another version", two.SerializeAsString()},
      {"no id of an org", no_org.SerializeAsString()},
      {"upper-case session", no_session.SerializeAsString()},
      {"short session", short_session.SerializeAsString()},
      {"negative key", no_key.SerializeAsString()},
      {"no end", no_end.SerializeAsString()},
      {"an end beyond time", huge_end.SerializeAsString()},
  };
  for (const auto& c : cases) EXPECT_FALSE(ParseSessionText(WithPayloadBytes(c.bytes)).has_value()) << c.name;
}

TEST(SessionTextTest, SessionIdsAreRandomAndHaveOneForm) {
  EXPECT_NE(NewSessionId(), NewSessionId());
  EXPECT_TRUE(IsSessionId(NewSessionId()));
  EXPECT_FALSE(IsSessionId(NewSessionId().substr(1)));
  EXPECT_FALSE(IsSessionId(NewSessionId().substr(1) + "g"));
}

}  // namespace
}  // namespace keyferry::server
