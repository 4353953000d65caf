#include "storage/records/typed.h"

#include <string>
#include <utility>

#include "google/protobuf/descriptor.pb.h"
#include "gtest/gtest.h"
#include "storage/records/records.pb.h"

namespace keyferry::storage {
namespace {

TEST(TypedTest, SerializeAndParseReturnTheSameMessage) {
  records::WorkloadRecord workload;
  workload.set_id("runner");
  workload.add_mcp_servers("orgs/acme/mcpServers/github");
  workload.add_mcp_servers("orgs/acme/mcpServers/slack");
  auto parsed = ParseSecret<records::WorkloadRecord>(SerializeSecret(workload));
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->SerializeAsString(), workload.SerializeAsString());
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
  google::protobuf::DescriptorProto message;
  message.add_field()->set_name("a_name_that_is_longer_than_a_string_keeps_inside");
  message.add_field()->set_name("b");
  const char* memory = message.field(0).name().data();
  WipeMessage(message);
  EXPECT_EQ(message.field_size(), 0);
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
