#include "client/oauth_provider_file.h"

#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/printer.h"
#include "gmock/gmock.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/message.h"
#include "google/protobuf/timestamp.pb.h"
#include "gtest/gtest.h"

namespace keyferry::client {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr char kExample[] = R"(# A comment.
displayName: Example
grantType: AUTHORIZATION_CODE
endpoints:
  authorizationUrl: "https://{region}.example.com/authorize"
  tokenUrl: https://example.com/token
client:
  clientId: abc
  authentication: CLIENT_SECRET_POST
authorization:
  scopes: [read, "write"]
  scopeSeparator: ","
  pkce: OFF
  parameters: {access_type: offline, prompt: consent}
  renamedParameters:
    - {name: client_id, value: app_id}
token:
  lifetime: 1h30m
  introspect: true
  response: {expiryFormat: UNIX_SECONDS}
refresh:
  maxPerSecond: 2.5
  margin: 90.5s
urlVariables:
  - {name: region, description: "Where it is", pattern: "[a-z]+"}
)";

TEST(OauthProviderFileTest, ReadsWhatPeopleWrite) {
  const absl::StatusOr<v1::OauthProvider> provider = ParseOauthProviderFile(kExample, "f");
  ASSERT_TRUE(provider.ok()) << provider.status();
  EXPECT_EQ(provider->display_name(), "Example");
  EXPECT_EQ(provider->grant_type(), v1::OAUTH_GRANT_TYPE_AUTHORIZATION_CODE);
  EXPECT_EQ(provider->endpoints().authorization_url(), "https://{region}.example.com/authorize");
  EXPECT_EQ(provider->client().authentication(), v1::OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_POST);
  const v1::OauthAuthorization& authorization = provider->authorization();
  EXPECT_THAT(authorization.scopes(), ElementsAre("read", "write"));
  EXPECT_EQ(authorization.scope_separator(), ",");
  EXPECT_EQ(authorization.pkce(), v1::OAUTH_PKCE_OFF);
  ASSERT_EQ(authorization.parameters_size(), 2);
  EXPECT_EQ(authorization.parameters(0).name(), "access_type");
  EXPECT_EQ(authorization.parameters(1).value(), "consent");
  EXPECT_EQ(authorization.renamed_parameters(0).value(), "app_id");
  EXPECT_EQ(provider->token().lifetime().seconds(), 5400);
  EXPECT_TRUE(provider->token().introspect());
  EXPECT_EQ(provider->token().response().expiry_format(), v1::OAUTH_EXPIRY_FORMAT_UNIX_SECONDS);
  EXPECT_EQ(provider->refresh().max_per_second(), 2.5);
  EXPECT_EQ(provider->refresh().margin().seconds(), 90);
  EXPECT_EQ(provider->refresh().margin().nanos(), 500000000);
  EXPECT_EQ(provider->url_variables(0).pattern(), "[a-z]+");
}

TEST(OauthProviderFileTest, JsonIsYaml) {
  const absl::StatusOr<v1::OauthProvider> provider =
      ParseOauthProviderFile(R"({"authorization": {"pkce": "OAUTH_PKCE_S256", "parameters": {"a": "b"}}})", "f");
  ASSERT_TRUE(provider.ok()) << provider.status();
  EXPECT_EQ(provider->authorization().pkce(), v1::OAUTH_PKCE_S256);
}

// Gives every field a value, lists two, so that none can be forgotten when the API grows.
void Fill(Message* message, int* count) {
  const google::protobuf::Reflection& reflection = *message->GetReflection();
  for (int i = 0; i < message->GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = message->GetDescriptor()->field(i);
    if (RoleOf(*field) == OauthProviderFieldRole::kSecret) continue;
    for (int repeat = 0; repeat < (field->is_repeated() ? 2 : 1); ++repeat) {
      const int n = ++*count;
      const std::string text = absl::StrCat(" ", n, ": {#\"'");
      switch (field->cpp_type()) {
        case FieldDescriptor::CPPTYPE_STRING:
          field->is_repeated() ? reflection.AddString(message, field, text)
                               : reflection.SetString(message, field, text);
          break;
        case FieldDescriptor::CPPTYPE_BOOL:
          reflection.SetBool(message, field, true);
          break;
        case FieldDescriptor::CPPTYPE_INT32:
          reflection.SetInt32(message, field, n);
          break;
        case FieldDescriptor::CPPTYPE_DOUBLE:
          reflection.SetDouble(message, field, n + 0.25);
          break;
        case FieldDescriptor::CPPTYPE_ENUM:
          reflection.SetEnum(message, field,
                             field->enum_type()->value(1 + n % (field->enum_type()->value_count() - 1)));
          break;
        case FieldDescriptor::CPPTYPE_MESSAGE: {
          Message* inner =
              field->is_repeated() ? reflection.AddMessage(message, field) : reflection.MutableMessage(message, field);
          if (auto* duration = dynamic_cast<google::protobuf::Duration*>(inner)) {
            duration->set_seconds(n);
            duration->set_nanos(500000000);
          } else if (auto* time = dynamic_cast<google::protobuf::Timestamp*>(inner)) {
            time->set_seconds(n);
          } else {
            Fill(inner, count);
          }
          break;
        }
        default:
          FAIL() << field->full_name() << " is of a type that files do not know";
      }
    }
  }
}

TEST(OauthProviderFileTest, WhatDescribePrintsIsAFileOfEveryField) {
  v1::OauthProvider filled;
  int count = 0;
  Fill(&filled, &count);
  ASSERT_GT(count, 100);
  for (const cli::OutputFormat format : {cli::OutputFormat::kYaml, cli::OutputFormat::kJson}) {
    std::ostringstream output;
    cli::Printer(format, /*human_times=*/false, absl::UnixEpoch(), output).Message(filled);
    const absl::StatusOr<v1::OauthProvider> provider = ParseOauthProviderFile(output.str(), "f");
    ASSERT_TRUE(provider.ok()) << provider.status() << "\n" << output.str();
    v1::OauthProvider expected = filled;
    for (const char* name : {"name", "callback_url", "etag", "create_time", "creator", "update_time", "updater",
                             "outdated_connection_count"}) {
      const FieldDescriptor* field = expected.GetDescriptor()->FindFieldByName(name);
      ASSERT_NE(field, nullptr) << name;
      expected.GetReflection()->ClearField(&expected, field);
    }
    expected.mutable_client()->clear_has_client_secret();
    expected.mutable_client()->clear_jwks();
    EXPECT_EQ(provider->DebugString(), expected.DebugString());
  }
}

TEST(OauthProviderFileTest, SecretsAreNeverInAFile) {
  for (const char* name : {"client_secret", "certificate_private_key", "registration_token"}) {
    const FieldDescriptor* field = v1::OauthClient::descriptor()->FindFieldByName(name);
    ASSERT_NE(field, nullptr) << name;
    EXPECT_EQ(RoleOf(*field), OauthProviderFieldRole::kSecret);
    const absl::Status status =
        ParseOauthProviderFile(absl::StrCat("client:\n  ", field->json_name(), ": sekrit\n"), "f").status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr(absl::StrCat("f:2:3: `", field->json_name(), "` is a secret")));
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("sekrit")));
    // As `describe` prints it.
    EXPECT_TRUE(ParseOauthProviderFile(absl::StrCat("client:\n  ", field->json_name(), ": \"\"\n"), "f").ok());
  }
}

struct BadFile {
  const char* name;
  const char* text;
  const char* expected;
};

class BadOauthProviderFileTest : public testing::TestWithParam<BadFile> {};

TEST_P(BadOauthProviderFileTest, SaysWhereAndWhat) {
  const absl::StatusOr<v1::OauthProvider> provider = ParseOauthProviderFile(GetParam().text, "f");
  ASSERT_FALSE(provider.ok());
  EXPECT_EQ(provider.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(provider.status().message()), HasSubstr(GetParam().expected));
  EXPECT_THAT(std::string(provider.status().message()), Not(HasSubstr("sekrit")));
}

INSTANTIATE_TEST_SUITE_P(
    Files, BadOauthProviderFileTest,
    testing::ValuesIn<BadFile>({
        {"Empty", "", "f:1:1: no OAuth provider"},
        {"OnlyComments", "# nothing\n---\n", "f:1:1: no OAuth provider"},
        {"TwoDocuments", "displayName: a\n---\ndisplayName: b\n", "f:3:1: a second provider"},
        {"NotYaml", "displayName: a\nclient: [\n", "f:3:1: "},
        {"LoneComma", ",", "f:1:1: not YAML"},
        {"List", "- a\n", "f:1:1: an OAuth provider must be a map"},
        {"Text", "sekrit\n", "f:1:1: an OAuth provider must be a map"},
        {"UnknownKey", "displayName: a\nscopes: []\n", "f:2:1: unknown key `scopes`; known are displayName, grantType"},
        {"SnakeCase", "display_name: a\n", "f:1:1: unknown key `display_name`"},
        {"UnknownInnerKey", "token:\n  second:\n    urls: a\n", "f:3:5: unknown key `urls`; known are url, format"},
        {"KeyThatMayBeAValue", "client:\n  ? clientId:hunter2\n", "f:2:5: unknown key (not shown)"},
        {"MapKey", "? {a: b}\n: c\n", "f:1:3: a key must be a word"},
        {"DuplicateKey", "accountPath: a\naccountPath: b\n", "f:2:1: `accountPath` is given twice"},
        {"DuplicateInnerKey", "client: {clientId: a, clientId: b}\n", "f:1:23: `clientId` is given twice"},
        {"DuplicateParameter", "token: {parameters: {a: b, a: c}}\n", "f:1:28: `a` is given twice"},
        {"DuplicateSecret", "client: {clientSecret: \"\", clientSecret: sekrit}\n", "`clientSecret` is given twice"},
        {"MapIsText", "endpoints: https://example.com\n", "f:1:12: `endpoints` must be a map with keys among issuer"},
        {"MapIsNull", "endpoints:\n", "`endpoints` must be a map"},
        {"TextIsList", "displayName: [a]\n", "f:1:14: `displayName` must be a text"},
        {"TextIsNull", "displayName: ~\n", "f:1:14: `displayName` must be a text"},
        {"ListIsText", "authorization: {scopes: read}\n", "f:1:25: `scopes` must be a list of texts"},
        {"ListOfMaps", "authorization: {scopes: [{a: b}]}\n", "f:1:26: each of `scopes` must be a text"},
        {"VariablesMap", "urlVariables: {a: b}\n", "f:1:15: `urlVariables` must be a list of maps"},
        {"VariableText", "urlVariables: [a]\n", "f:1:16: each of `urlVariables` must be a map"},
        {"ParametersText", "token: {parameters: a=b}\n", "f:1:21: `parameters` must be a map such as"},
        {"ParameterList", "token: {parameters: {a: [b]}}\n", "f:1:25: each of `parameters` must be a text"},
        {"ParameterItem", "token: {parameters: [{name: a, val: b}]}\n", "f:1:32: unknown key `val`; known are name"},
        {"Enum", "authorization: {pkce: sekrit}\n", "f:1:23: `pkce` must be one of S256, OFF"},
        {"EnumLowerCase", "authorization: {pkce: off}\n", "must be one of S256, OFF"},
        {"EnumShortUnspecified", "authorization: {pkce: UNSPECIFIED}\n", "must be one of S256, OFF"},
        {"EnumNumber", "authorization: {pkce: 2}\n", "must be one of S256, OFF"},
        {"Bool", "token: {introspect: yes}\n", "f:1:21: `introspect` must be true or false"},
        {"Number", "refresh: {maxPerSecond: many}\n", "f:1:25: `maxPerSecond` must be a number"},
        {"NotANumber", "refresh: {maxPerSecond: nan}\n", "`maxPerSecond` must be a number"},
        {"DurationWithoutUnit", "token: {lifetime: 3600}\n", "f:1:19: `lifetime` must be a duration such as 1h"},
        {"DurationNegative", "token: {lifetime: -1h}\n", "`lifetime` must be a duration"},
        {"DurationInfinite", "token: {lifetime: inf}\n", "`lifetime` must be a duration"},
        {"DurationTooLong", "token: {lifetime: 99999999999h}\n", "`lifetime` must be a duration"},
        {"DurationMap", "token: {lifetime: {seconds: 1}}\n", "`lifetime` must be a text"},
        {"Tagged", "displayName: !!binary c2Vrcml0\n", "without a tag"},
        {"MergeKey", "<<: {displayName: a}\n", "f:1:1: unknown key (not shown)"},
        {"UndefinedAlias", "displayName: *nowhere\n", "f:1:"},
        {"NotUtf8", "displayName: \"\xff\"\n", "f:1:15: not UTF-8 text"},
    }),
    [](const testing::TestParamInfo<BadFile>& info) { return info.param.name; });

TEST(OauthProviderFileTest, AliasesDoNotMultiply) {
  std::string text = absl::StrCat("authorization:\n  scopes:\n  - &a ", std::string(1000, 'x'), "\n");
  for (int i = 0; i < 300; ++i) text += "  - *a\n";
  EXPECT_THAT(std::string(ParseOauthProviderFile(text, "f").status().message()),
              HasSubstr("more than 256 KiB of text"));
  EXPECT_FALSE(ParseOauthProviderFile("token: &a\n  response: *a\n", "f").ok());
}

TEST(OauthProviderFileTest, EveryCutAndFlipIsAnswered) {
  const std::string whole = kExample;
  for (size_t size = 0; size < whole.size(); ++size) {
    ParseOauthProviderFile(whole.substr(0, size), "f").status().IgnoreError();
  }
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string damaged = whole;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    ParseOauthProviderFile(damaged, "f").status().IgnoreError();
  }
}

TEST(OauthProviderFileTest, DeepNestingIsRefused) {
  EXPECT_FALSE(ParseOauthProviderFile(std::string(100000, '['), "f").ok());
}

}  // namespace
}  // namespace keyferry::client
