#include <yaml-cpp/yaml.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "server/config/config.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

absl::Status At(const std::string& source, const YAML::Mark& mark, absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat(source, ":", mark.line + 1, ": ", problem));
}

absl::Status SetScalar(const FieldDescriptor& field, const std::string& text, Message* message) {
  const google::protobuf::Reflection& reflection = *message->GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      reflection.SetString(message, &field, text);
      return absl::OkStatus();
    case FieldDescriptor::CPPTYPE_UINT32: {
      uint32_t number = 0;
      if (!absl::SimpleAtoi(text, &number)) break;
      reflection.SetUInt32(message, &field, number);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_UINT64: {
      uint64_t number = 0;
      if (!absl::SimpleAtoi(text, &number)) break;
      reflection.SetUInt64(message, &field, number);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_BOOL:
      if (text != "true" && text != "false") return absl::InvalidArgumentError("must be true or false");
      reflection.SetBool(message, &field, text == "true");
      return absl::OkStatus();
    default:
      break;
  }
  return absl::InvalidArgumentError("must be a whole number of 0 or more");
}

// Sets what a list holds; what it held before is gone.
void SetList(const FieldDescriptor& field, absl::string_view text, Message* message) {
  message->GetReflection()->ClearField(message, &field);
  for (const absl::string_view item : absl::StrSplit(text, ',')) {
    const absl::string_view stripped = absl::StripAsciiWhitespace(item);
    if (!stripped.empty()) message->GetReflection()->AddString(message, &field, std::string(stripped));
  }
}

absl::Status ReadList(const YAML::Node& node, const std::string& source, const std::string& path,
                      const FieldDescriptor& field, Message* message) {
  if (node.IsScalar() || node.IsNull()) {
    SetList(field, node.IsNull() ? "" : node.Scalar(), message);
    return absl::OkStatus();
  }
  if (!node.IsSequence()) return At(source, node.Mark(), absl::StrCat("`", path, "` must be a list"));
  message->GetReflection()->ClearField(message, &field);
  for (const auto& item : node) {
    if (!item.IsScalar()) return At(source, item.Mark(), absl::StrCat("`", path, "` must be a list of single values"));
    message->GetReflection()->AddString(message, &field, item.Scalar());
  }
  return absl::OkStatus();
}

std::string UnknownKey(const std::string& prefix, const std::string& name, const google::protobuf::Descriptor& known) {
  std::vector<std::string> names;
  for (int i = 0; i < known.field_count(); ++i) names.push_back(known.field(i)->name());
  return absl::StrCat("unknown key `", prefix, name, "`; known are ", absl::StrJoin(names, ", "));
}

absl::Status ReadMap(const YAML::Node& node, const std::string& source, const std::string& prefix, Message* message);

// A list of maps, e.g. `identity.issuers`; what it held before is gone.
absl::Status ReadMaps(const YAML::Node& node, const std::string& source, const std::string& path,
                      const FieldDescriptor& field, Message* message) {
  message->GetReflection()->ClearField(message, &field);
  if (node.IsNull()) return absl::OkStatus();
  if (!node.IsSequence()) return At(source, node.Mark(), absl::StrCat("`", path, "` must be a list"));
  for (size_t i = 0; i < node.size(); ++i) {
    RETURN_IF_ERROR(ReadMap(node[i], source, absl::StrCat(path, "[", i, "]."),
                            message->GetReflection()->AddMessage(message, &field)));
  }
  return absl::OkStatus();
}

absl::Status ReadMap(const YAML::Node& node, const std::string& source, const std::string& prefix, Message* message) {
  if (node.IsNull()) return absl::OkStatus();
  if (!node.IsMap()) return At(source, node.Mark(), "expected keys and values");
  std::set<std::string> seen;
  for (const auto& entry : node) {
    if (!entry.first.IsScalar()) return At(source, entry.first.Mark(), "expected a key");
    const std::string name = entry.first.Scalar();
    const FieldDescriptor* field = message->GetDescriptor()->FindFieldByName(name);
    if (field == nullptr) return At(source, entry.first.Mark(), UnknownKey(prefix, name, *message->GetDescriptor()));
    if (!seen.insert(name).second) {
      return At(source, entry.first.Mark(), absl::StrCat("key `", prefix, name, "` is given twice"));
    }
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && field->is_repeated()) {
      RETURN_IF_ERROR(ReadMaps(entry.second, source, absl::StrCat(prefix, name), *field, message));
      continue;
    }
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      RETURN_IF_ERROR(ReadMap(entry.second, source, absl::StrCat(prefix, name, "."),
                              message->GetReflection()->MutableMessage(message, field)));
      continue;
    }
    if (field->is_repeated()) {
      RETURN_IF_ERROR(ReadList(entry.second, source, absl::StrCat(prefix, name), *field, message));
      continue;
    }
    if (!entry.second.IsScalar()) {
      return At(source, entry.first.Mark(), absl::StrCat("`", prefix, name, "` must be a single value"));
    }
    const absl::Status set = SetScalar(*field, entry.second.Scalar(), message);
    if (!set.ok()) return At(source, entry.second.Mark(), absl::StrCat("`", prefix, name, "` ", set.message()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadConfigYaml(const std::string& yaml, const std::string& source, config::Config* config) {
  try {
    // YAML::LoadAll would not return from a text such as a lone comma (yaml-cpp 0.7).
    if (yaml.rfind("\n---") != std::string::npos) {
      return absl::InvalidArgumentError(absl::StrCat(source, ": more than one YAML document; leave out `---`"));
    }
    const YAML::Node document = YAML::Load(yaml);
    config::Config read = *config;
    RETURN_IF_ERROR(ReadMap(document, source, "", &read));
    config->Swap(&read);
    return absl::OkStatus();
  } catch (const YAML::Exception& e) {
    return At(source, e.mark, absl::StrCat("not YAML: ", e.msg));
  }
}

absl::Status ReadConfigFile(const std::string& path, config::Config* config) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  if (file) text << file.rdbuf();
  if (!file) {
    const int error = errno;
    const std::string message =
        absl::StrCat(path, ": the configuration cannot be read: ", std::strerror(error), "; --config names the file");
    return error == EACCES ? absl::PermissionDeniedError(message) : absl::NotFoundError(message);
  }
  return ReadConfigYaml(text.str(), path, config);
}

absl::Status SetConfigKey(absl::string_view path, const std::string& text, const std::string& source,
                          config::Config* config) {
  Message* message = config;
  const std::vector<std::string> names = absl::StrSplit(path, '.');
  for (size_t i = 0; i + 1 < names.size(); ++i) {
    const FieldDescriptor* field = message->GetDescriptor()->FindFieldByName(names[i]);
    message = message->GetReflection()->MutableMessage(message, field);
  }
  const FieldDescriptor* field = message->GetDescriptor()->FindFieldByName(names.back());
  if (field->is_repeated()) {
    SetList(*field, text, message);
    return absl::OkStatus();
  }
  const absl::Status set = SetScalar(*field, text, message);
  if (!set.ok()) return absl::InvalidArgumentError(absl::StrCat(source, ": ", set.message()));
  return absl::OkStatus();
}

}  // namespace keyferry::server
