#include "client/api_error.h"

#include <grpcpp/support/status.h>

#include <string>

#include "gmock/gmock.h"
#include "google/protobuf/any.pb.h"
#include "gtest/gtest.h"
#include "keyferry/v1/errors.pb.h"

namespace keyferry::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

void AppendField(int number, const std::string& bytes, std::string* text) {
  text->push_back(static_cast<char>(number << 3 | 2));
  size_t size = bytes.size();
  for (; size >= 0x80; size >>= 7) text->push_back(static_cast<char>(0x80 | (size & 0x7f)));
  text->push_back(static_cast<char>(size));
  text->append(bytes);
}

// A serialized google.rpc.Status, after other details.
std::string Trailer(const v1::ErrorDetail& detail) {
  google::protobuf::Any any;
  any.PackFrom(detail);
  std::string text = "\x08\x05";
  AppendField(2, "message", &text);
  AppendField(3, "", &text);
  AppendField(3, any.SerializeAsString(), &text);
  return text;
}

v1::ErrorDetail Detail() {
  v1::ErrorDetail detail;
  detail.set_reason("REQUIRED_VARIABLE_MISSING");
  detail.set_resource("orgs/dev/mcpServers/github");
  detail.set_next_step("Set it.");
  detail.set_retry_delay_ms(1500);
  v1::MissingVariable* missing = detail.add_missing_variables();
  missing->set_variable("GITHUB_TOKEN");
  missing->add_tried("orgs/dev/users/ada/credentials/GITHUB_TOKEN");
  missing->add_tried("orgs/dev/credentials/GITHUB_TOKEN");
  missing->set_next_step("store it");
  return detail;
}

TEST(ApiErrorTest, DecodesEveryField) {
  const ApiError error =
      DecodeApiError(grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "variables are missing", Trailer(Detail())));
  EXPECT_EQ(error.code, absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(error.message, "variables are missing");
  EXPECT_EQ(error.reason, "REQUIRED_VARIABLE_MISSING");
  EXPECT_EQ(error.resource, "orgs/dev/mcpServers/github");
  EXPECT_EQ(error.next_step, "Set it.");
  EXPECT_EQ(error.retry_delay, absl::Milliseconds(1500));
  ASSERT_EQ(error.missing_variables.size(), 1u);
  EXPECT_EQ(error.missing_variables[0].variable, "GITHUB_TOKEN");
  EXPECT_THAT(error.missing_variables[0].tried,
              ElementsAre("orgs/dev/users/ada/credentials/GITHUB_TOKEN", "orgs/dev/credentials/GITHUB_TOKEN"));
  EXPECT_EQ(error.OneLine(), "variables are missing: orgs/dev/mcpServers/github: GITHUB_TOKEN (store it); Set it.");
}

TEST(ApiErrorTest, SaysWhereToConnect) {
  v1::ErrorDetail detail = Detail();
  detail.mutable_missing_variables(0)->set_connect_url("https://keyferry.example.com/connect/github");
  ApiError error = DecodeApiError(grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "missing", Trailer(detail)));
  EXPECT_EQ(error.missing_variables[0].connect_url, "https://keyferry.example.com/connect/github");
  EXPECT_THAT(error.OneLine(),
              HasSubstr("GITHUB_TOKEN (store it; connect at https://keyferry.example.com/connect/github); Set it."));
  error.missing_variables[0].next_step = "";
  EXPECT_THAT(error.OneLine(), HasSubstr("GITHUB_TOKEN (connect at https://keyferry.example.com/connect/github)"));
  error.missing_variables[0].next_step = "Connect at https://keyferry.example.com/connect/github.";
  EXPECT_THAT(error.OneLine(),
              HasSubstr("GITHUB_TOKEN (Connect at https://keyferry.example.com/connect/github.); Set it."));
}

TEST(ApiErrorTest, DamagedTrailersKeepCodeAndMessage) {
  const std::string whole = Trailer(Detail());
  for (size_t size = 0; size < whole.size(); ++size) {
    const ApiError error = DecodeApiError(absl::StatusCode::kNotFound, "gone", whole.substr(0, size));
    EXPECT_EQ(error.code, absl::StatusCode::kNotFound);
    EXPECT_EQ(error.message, "gone");
    EXPECT_EQ(error.reason, "") << size;
  }
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string damaged = whole;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    EXPECT_EQ(DecodeApiError(absl::StatusCode::kNotFound, "gone", damaged).message, "gone");
  }
}

TEST(ApiErrorTest, OneLineIsOneLine) {
  ApiError error;
  error.code = absl::StatusCode::kNotFound;
  error.message = "not found\nkeyferry: \x1b[31mfake";
  error.resource = "orgs/dev";
  const std::string line = error.OneLine();
  EXPECT_THAT(line, Not(HasSubstr("\n")));
  EXPECT_THAT(line, Not(HasSubstr("\x1b")));
  EXPECT_THAT(line, HasSubstr(": orgs/dev"));
  error.message = "orgs/dev was not found.";
  EXPECT_EQ(error.OneLine(), "orgs/dev was not found");
  error.message = "";
  error.resource = "";
  EXPECT_EQ(error.OneLine(), "NOT_FOUND");
}

}  // namespace
}  // namespace keyferry::client
