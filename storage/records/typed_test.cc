#include "storage/records/typed.h"

#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "storage/records/records.pb.h"

namespace keyferry::storage {
namespace {

records::UsageEventRecord SampleEvent() {
  records::UsageEventRecord event;
  event.set_time(17);
  event.set_mcp_server("orgs/acme/mcpServers/github");
  for (const char* name : {"orgs/acme/credentials/A_RATHER_LONG_NAME", "orgs/acme/credentials/B"}) {
    records::CredentialUse* use = event.add_credentials();
    use->set_credential(name);
    use->set_version(3);
  }
  return event;
}

TEST(TypedTest, SerializeAndParseReturnTheSameMessage) {
  const records::UsageEventRecord event = SampleEvent();
  auto parsed = ParseSecret<records::UsageEventRecord>(SerializeSecret(event));
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->SerializeAsString(), event.SerializeAsString());
}

TEST(TypedTest, EmptyMessageIsEmptyBytes) {
  SecretBytes bytes = SerializeSecret(records::ValueRecord());
  EXPECT_TRUE(bytes.empty());
  EXPECT_TRUE(ParseSecret<records::ValueRecord>(bytes).ok());
}

TEST(TypedTest, OtherBytesAreDataLoss) {
  auto parsed = ParseSecret<records::ValueRecord>(SecretBytes::CopyOf("\xff\xff\xff"));
  EXPECT_EQ(parsed.status().code(), absl::StatusCode::kDataLoss);
}

TEST(TypedTest, WipeOverwritesTheValueInPlace) {
  records::ValueRecord record;
  record.set_value(std::string(100, 's'));
  const char* memory = record.value().data();
  const std::string kept_capacity = record.value();
  WipeMessage(record);
  EXPECT_TRUE(record.value().empty());
  // Clear keeps the string's buffer, so what was in it can be looked at.
  for (size_t i = 1; i < kept_capacity.size(); ++i) ASSERT_EQ(memory[i], '\0') << "byte " << i;
}

TEST(TypedTest, WipeReachesRepeatedMessages) {
  records::UsageEventRecord event = SampleEvent();
  const char* memory = event.credentials(0).credential().data();
  WipeMessage(event);
  EXPECT_EQ(event.credentials_size(), 0);
  EXPECT_EQ(memory[1], '\0');
  EXPECT_EQ(memory[20], '\0');
}

TEST(TypedTest, WipedMovesItsContent) {
  records::ValueRecord record;
  record.set_value("v");
  Wiped<records::ValueRecord> a(std::move(record));
  Wiped<records::ValueRecord> b(std::move(a));
  EXPECT_EQ(b->value(), "v");
  EXPECT_TRUE(a->value().empty());
}

}  // namespace
}  // namespace keyferry::storage
