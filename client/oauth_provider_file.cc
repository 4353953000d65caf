#include "client/oauth_provider_file.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "client/yaml_documents.h"
#include "client/yaml_text.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/message.h"
#include "yaml-cpp/yaml.h"

namespace keyferry::client {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// The largest request.
constexpr size_t kMaxText = 256 * 1024;

// Of google.protobuf.Duration.
constexpr int64_t kMaxSeconds = 315576000000;

constexpr const char* kServerFields[] = {"name",    "callback_url",
                                         "etag",    "create_time",
                                         "creator", "update_time",
                                         "updater", "has_client_secret",
                                         "jwks",    "outdated_connection_count"};
constexpr const char* kSecretFields[] = {"client_secret", "certificate_private_key", "registration_token"};

bool Among(const char* const* first, const char* const* last, const std::string& name) {
  return std::any_of(first, last, [&](const char* one) { return name == one; });
}

const FieldDescriptor* FieldOf(const Descriptor& message, const std::string& key) {
  for (int i = 0; i < message.field_count(); ++i) {
    if (message.field(i)->json_name() == key) return message.field(i);
  }
  return nullptr;
}

std::string KnownKeys(const Descriptor& message) {
  std::vector<std::string> keys;
  for (int i = 0; i < message.field_count(); ++i) {
    if (RoleOf(*message.field(i)) == OauthProviderFieldRole::kFile) keys.push_back(message.field(i)->json_name());
  }
  return absl::StrJoin(keys, ", ");
}

// "OFF" of OAUTH_PKCE_OFF.
std::string ShortName(const EnumValueDescriptor& value) {
  const std::string& zero = value.type()->value(0)->name();
  const size_t prefix = zero.size() - std::min(zero.size(), sizeof("UNSPECIFIED") - 1);
  return value.name().substr(std::min(prefix, value.name().size()));
}

const EnumValueDescriptor* ValueOf(const EnumDescriptor& type, const std::string& text) {
  for (int i = 0; i < type.value_count(); ++i) {
    const EnumValueDescriptor* value = type.value(i);
    if (value->name() == text || (value->number() != 0 && ShortName(*value) == text)) return value;
  }
  return nullptr;
}

std::string ShortNames(const EnumDescriptor& type) {
  std::vector<std::string> names;
  for (int i = 0; i < type.value_count(); ++i) {
    if (type.value(i)->number() != 0) names.push_back(ShortName(*type.value(i)));
  }
  return absl::StrJoin(names, ", ");
}

class Reader {
 public:
  explicit Reader(absl::string_view file_name) : file_name_(file_name) {}

  absl::Status At(const YAML::Node& node, absl::string_view problem) const {
    return FileErrorAt(file_name_, PositionOf(node.Mark()), problem);
  }

  absl::Status Map(const YAML::Node& node, absl::string_view what, Message* message) {
    const Descriptor& type = *message->GetDescriptor();
    if (!node.IsMap()) return At(node, absl::StrCat(what, " must be a map with keys among ", KnownKeys(type)));
    std::set<std::string> seen;
    for (const auto& entry : node) {
      std::string key;
      absl::Status status = Key(entry.first, seen, &key);
      if (!status.ok()) return status;
      const FieldDescriptor* field = FieldOf(type, key);
      if (field == nullptr) {
        return At(entry.first, absl::StrCat("unknown key ", ShownKey(key), "; known are ", KnownKeys(type)));
      }
      status = Field(entry.first, entry.second, *field, message);
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Key(const YAML::Node& node, std::set<std::string>& seen, std::string* key) const {
    if (!node.IsScalar()) return At(node, "a key must be a word");
    *key = node.Scalar();
    if (!seen.insert(*key).second) return At(node, absl::StrCat(ShownKey(*key), " is given twice"));
    return absl::OkStatus();
  }

  absl::Status Text(const YAML::Node& node, absl::string_view what, std::string* text) {
    if (!node.IsScalar()) return At(node, absl::StrCat(what, " must be a text"));
    const std::string& tag = node.Tag();
    if (!tag.empty() && tag != "?" && tag != "!" && tag != "tag:yaml.org,2002:str") {
      return At(node, absl::StrCat(what, " must be a text without a tag"));
    }
    *text = node.Scalar();
    // An alias makes much of little.
    text_size_ += text->size();
    if (text_size_ > kMaxText) return At(node, "more than 256 KiB of text");
    return absl::OkStatus();
  }

  absl::Status Field(const YAML::Node& key, const YAML::Node& node, const FieldDescriptor& field, Message* message) {
    switch (RoleOf(field)) {
      case OauthProviderFieldRole::kServer:
        return absl::OkStatus();
      case OauthProviderFieldRole::kSecret:
        if (node.IsScalar() && node.Scalar().empty()) return absl::OkStatus();
        return At(key, absl::StrCat("`", field.json_name(),
                                    "` is a secret, which no file of a provider holds; leave it out, and give it on "
                                    "standard input or in a file of its own (keyferry oauth-provider create --help)"));
      case OauthProviderFieldRole::kFile:
        break;
    }
    const std::string what = absl::StrCat("`", field.json_name(), "`");
    return field.is_repeated() ? List(node, what, field, message) : Single(node, what, field, message);
  }

  absl::Status List(const YAML::Node& node, const std::string& what, const FieldDescriptor& field, Message* message) {
    const google::protobuf::Reflection& reflection = *message->GetReflection();
    const bool parameters = field.message_type() == v1::OauthParameter::descriptor();
    if (parameters && node.IsMap()) return Parameters(node, what, field, message);
    if (!node.IsSequence()) {
      return At(node, absl::StrCat(what, parameters             ? " must be a map such as {name: value}"
                                         : field.message_type() ? " must be a list of maps"
                                                                : " must be a list of texts"));
    }
    for (const YAML::Node& item : node) {
      absl::Status status;
      if (field.message_type() != nullptr) {
        status = Map(item, absl::StrCat("each of ", what), reflection.AddMessage(message, &field));
      } else {
        std::string text;
        status = Text(item, absl::StrCat("each of ", what), &text);
        reflection.AddString(message, &field, text);
      }
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  absl::Status Parameters(const YAML::Node& node, const std::string& what, const FieldDescriptor& field,
                          Message* message) {
    std::set<std::string> seen;
    for (const auto& entry : node) {
      auto* parameter = static_cast<v1::OauthParameter*>(message->GetReflection()->AddMessage(message, &field));
      absl::Status status = Key(entry.first, seen, parameter->mutable_name());
      if (status.ok()) status = Text(entry.second, absl::StrCat("each of ", what), parameter->mutable_value());
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  absl::Status Single(const YAML::Node& node, const std::string& what, const FieldDescriptor& field, Message* message) {
    const google::protobuf::Reflection& reflection = *message->GetReflection();
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      Message* inner = reflection.MutableMessage(message, &field);
      if (field.message_type() != google::protobuf::Duration::descriptor()) return Map(node, what, inner);
      return Duration(node, what, static_cast<google::protobuf::Duration*>(inner));
    }
    std::string text;
    absl::Status status = Text(node, what, &text);
    if (!status.ok()) return status;
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_STRING:
        reflection.SetString(message, &field, text);
        return absl::OkStatus();
      case FieldDescriptor::CPPTYPE_BOOL:
        if (text != "true" && text != "false") return At(node, absl::StrCat(what, " must be true or false"));
        reflection.SetBool(message, &field, text == "true");
        return absl::OkStatus();
      case FieldDescriptor::CPPTYPE_DOUBLE: {
        double number = 0;
        if (!absl::SimpleAtod(text, &number) || !std::isfinite(number)) {
          return At(node, absl::StrCat(what, " must be a number"));
        }
        reflection.SetDouble(message, &field, number);
        return absl::OkStatus();
      }
      case FieldDescriptor::CPPTYPE_ENUM: {
        const EnumValueDescriptor* value = ValueOf(*field.enum_type(), text);
        if (value == nullptr) {
          return At(node, absl::StrCat(what, " must be one of ", ShortNames(*field.enum_type())));
        }
        reflection.SetEnum(message, &field, value);
        return absl::OkStatus();
      }
      default:
        return At(node, absl::StrCat(what, " cannot be given in a file"));
    }
  }

  absl::Status Duration(const YAML::Node& node, const std::string& what, google::protobuf::Duration* value) {
    std::string text;
    absl::Status status = Text(node, what, &text);
    if (!status.ok()) return status;
    absl::Duration duration;
    if (!absl::ParseDuration(text, &duration) || duration < absl::ZeroDuration() ||
        duration > absl::Seconds(kMaxSeconds)) {
      return At(node, absl::StrCat(what, " must be a duration such as 1h, 90m or 3600s"));
    }
    value->set_seconds(absl::IDivDuration(duration, absl::Seconds(1), &duration));
    value->set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(duration)));
    return absl::OkStatus();
  }

  const absl::string_view file_name_;
  size_t text_size_ = 0;
};

absl::StatusOr<v1::OauthProvider> ReadDocuments(absl::string_view text, absl::string_view file_name) {
  const std::string whole(text);
  // Each document takes a line at least.
  if (!HasAtMostDocuments(whole, 1 + std::count(text.begin(), text.end(), '\n'))) {
    return FileErrorAt(file_name, TextPosition(), "not YAML: a document begins with a character that begins none");
  }
  Reader reader(file_name);
  v1::OauthProvider provider;
  bool found = false;
  for (const YAML::Node& node : YAML::LoadAll(whole)) {
    // Between `---` lines and at the end there may be nothing.
    if (!node.IsDefined() || node.IsNull()) continue;
    if (found) return reader.At(node, "a second provider; a file holds one");
    found = true;
    absl::Status status = reader.Map(node, "an OAuth provider", &provider);
    if (!status.ok()) return status;
  }
  if (!found) return FileErrorAt(file_name, TextPosition(), "no OAuth provider in this file");
  return provider;
}

}  // namespace

OauthProviderFieldRole RoleOf(const FieldDescriptor& field) {
  const Descriptor* type = field.containing_type();
  if (type == v1::OauthProvider::descriptor() || type == v1::OauthClient::descriptor()) {
    if (Among(std::begin(kServerFields), std::end(kServerFields), field.name())) return OauthProviderFieldRole::kServer;
    if (Among(std::begin(kSecretFields), std::end(kSecretFields), field.name())) return OauthProviderFieldRole::kSecret;
  }
  return OauthProviderFieldRole::kFile;
}

absl::StatusOr<v1::OauthProvider> ParseOauthProviderFile(absl::string_view text, absl::string_view file_name) {
  TextPosition bad;
  if (FindBadByte(text, &bad)) return FileErrorAt(file_name, bad, "not UTF-8 text");
  try {
    return ReadDocuments(text, file_name);
  } catch (const YAML::Exception& error) {
    return NotYaml(file_name, error);
  }
}

}  // namespace keyferry::client
