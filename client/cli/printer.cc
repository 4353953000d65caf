#include "client/cli/printer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "client/secret_text.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "google/protobuf/timestamp.pb.h"
#include "google/protobuf/util/json_util.h"
#include "nlohmann/json.hpp"

namespace keyferry::client::cli {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Reflection;
using Json = nlohmann::ordered_json;
using ProtoMessage = google::protobuf::Message;

// `whole`: with the fields that are not set.
std::string ToJson(const ProtoMessage& message, bool whole = true) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = whole;
  std::string json;
  // Fails only for messages with an Any of an unknown type, and the API has none.
  return google::protobuf::util::MessageToJsonString(message, &json, options).ok() ? json : "{}";
}

// For texts from the command line, which need not be UTF-8.
std::string Dump(const Json& json) {
  return json.dump(/*indent=*/-1, /*indent_char=*/' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

// "ACTIVE" of CREDENTIAL_STATUS_ACTIVE; "" of the unspecified value.
std::string EnumText(const google::protobuf::EnumValueDescriptor& value) {
  const std::string& zero = value.type()->value(0)->name();
  const std::string prefix = zero.substr(0, zero.size() - std::min(zero.size(), sizeof("UNSPECIFIED") - 1));
  if (value.number() == 0) return "";
  return absl::StartsWith(value.name(), prefix) ? value.name().substr(prefix.size()) : value.name();
}

std::string ScalarText(const ProtoMessage& message, const FieldDescriptor& field, int index) {
  const Reflection& reflection = *message.GetReflection();
  const bool repeated = field.is_repeated();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return repeated ? reflection.GetRepeatedString(message, &field, index) : reflection.GetString(message, &field);
    case FieldDescriptor::CPPTYPE_INT64:
      return absl::StrCat(reflection.GetInt64(message, &field));
    case FieldDescriptor::CPPTYPE_INT32:
      return absl::StrCat(reflection.GetInt32(message, &field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetBool(message, &field) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_ENUM:
      return EnumText(repeated ? *reflection.GetRepeatedEnum(message, &field, index)
                               : *reflection.GetEnum(message, &field));
    case FieldDescriptor::CPPTYPE_MESSAGE: {
      const ProtoMessage& part =
          repeated ? reflection.GetRepeatedMessage(message, &field, index) : reflection.GetMessage(message, &field);
      const Json json = Json::parse(ToJson(part, /*whole=*/false));
      return json.empty() ? "" : json.dump();
    }
    default:
      return "";
  }
}

// "Last use time" of last_use_time.
std::string Label(const FieldDescriptor& field) {
  std::string label = field.name();
  std::replace(label.begin(), label.end(), '_', ' ');
  label[0] = absl::ascii_toupper(static_cast<unsigned char>(label[0]));
  return label;
}

std::string Printable(std::string text) {
  for (char& c : text) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) c = '?';
  }
  return text;
}

// Code points, near enough to columns for what names and descriptions hold.
size_t Width(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

bool PlainInYaml(const std::string& text) {
  static constexpr const char* kWords[] = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"};
  if (text.empty() || !absl::ascii_isalpha(static_cast<unsigned char>(text[0]))) return false;
  const std::string lower = absl::AsciiStrToLower(text);
  if (std::any_of(std::begin(kWords), std::end(kWords), [&](const char* word) { return lower == word; })) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains("_-./@", c);
  });
}

void AppendYaml(const Json& json, const std::string& indent, bool after_dash, std::string* yaml) {
  if (json.is_object() && !json.empty()) {
    bool first = after_dash;
    for (const auto& [key, value] : json.items()) {
      absl::StrAppend(yaml, first ? "" : indent, PlainInYaml(key) ? key : Json(key).dump(), ":");
      first = false;
      const bool nested = value.is_structured() && !value.empty();
      absl::StrAppend(yaml, nested ? "\n" : " ");
      AppendYaml(value, nested ? indent + "  " : indent, /*after_dash=*/false, yaml);
    }
  } else if (json.is_array() && !json.empty()) {
    for (const Json& item : json) {
      absl::StrAppend(yaml, indent, "- ");
      // The API has no lists of lists; the flow form says the same.
      if (item.is_array()) {
        absl::StrAppend(yaml, item.dump(), "\n");
      } else {
        AppendYaml(item, indent + "  ", /*after_dash=*/true, yaml);
      }
    }
  } else if (json.is_string() && PlainInYaml(json.get_ref<const std::string&>())) {
    absl::StrAppend(yaml, json.get_ref<const std::string&>(), "\n");
  } else {
    // A JSON text is a YAML text too.
    absl::StrAppend(yaml, json.dump(), "\n");
  }
}

}  // namespace

std::string JsonToYaml(const std::string& json) {
  std::string yaml;
  AppendYaml(Json::parse(json), "", /*after_dash=*/false, &yaml);
  return yaml;
}

std::string HumanTime(absl::Time time, absl::Time now) {
  static constexpr struct {
    const char* name;
    int64_t seconds;
  } kUnits[] = {{"year", 31557600}, {"day", 86400}, {"hour", 3600}, {"minute", 60}, {"second", 1}};
  const int64_t seconds = absl::ToInt64Seconds(time - now);
  const int64_t distance = seconds < 0 ? -seconds : seconds;
  for (const auto& unit : kUnits) {
    // Two of a unit or more, so that rounding down says enough.
    if (distance < unit.seconds * (unit.seconds == 1 ? 1 : 2)) continue;
    const int64_t count = distance / unit.seconds;
    const std::string text = absl::StrCat(count, " ", unit.name, count == 1 ? "" : "s");
    return seconds < 0 ? text + " ago" : "in " + text;
  }
  return "now";
}

std::string Printer::FieldText(const ProtoMessage& message, const std::string& name) const {
  const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(name);
  if (field == nullptr) return "";
  if (field->is_repeated()) {
    std::vector<std::string> texts;
    for (int i = 0; i < message.GetReflection()->FieldSize(message, field); ++i) {
      texts.push_back(ScalarText(message, *field, i));
    }
    return absl::StrJoin(texts, ", ");
  }
  if (field->has_presence() && !message.GetReflection()->HasField(message, field)) return "";
  if (field->message_type() == google::protobuf::Timestamp::descriptor()) {
    const auto& timestamp =
        static_cast<const google::protobuf::Timestamp&>(message.GetReflection()->GetMessage(message, field));
    const absl::Time time = absl::FromUnixSeconds(timestamp.seconds()) + absl::Nanoseconds(timestamp.nanos());
    return human_times_ ? HumanTime(time, now_) : absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
  }
  return ScalarText(message, *field, 0);
}

std::string Printer::Cell(const ProtoMessage& message, const std::string& path, bool last_segment) const {
  const ProtoMessage* current = &message;
  std::vector<std::string> names = absl::StrSplit(path, '.');
  for (size_t i = 0; i + 1 < names.size(); ++i) {
    const FieldDescriptor* field = current->GetDescriptor()->FindFieldByName(names[i]);
    if (field == nullptr || !current->GetReflection()->HasField(*current, field)) return "-";
    current = &current->GetReflection()->GetMessage(*current, field);
  }
  std::string text = Printable(FieldText(*current, names.back()));
  if (last_segment) text = text.substr(text.rfind('/') + 1);
  return text.empty() ? "-" : text;
}

std::string PrintableText(const std::string& text) { return Printable(text); }

void Printer::Rows(const std::vector<std::vector<std::string>>& rows) const {
  std::vector<size_t> widths;
  for (const std::vector<std::string>& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Width(row[i]));
  }
  for (const std::vector<std::string>& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      absl::StrAppend(&line, row[i], i + 1 < row.size() ? std::string(widths[i] - Width(row[i]) + 2, ' ') : "");
    }
    output_ << line << "\n";
  }
}

void Printer::Structured(std::string json) const {
  if (format_ == OutputFormat::kYaml) {
    std::string yaml = JsonToYaml(json);
    output_ << yaml;
    WipeString(yaml);
  } else {
    std::string pretty = Json::parse(json).dump(2);
    output_ << pretty << "\n";
    WipeString(pretty);
  }
  WipeString(json);
}

void Printer::Message(const ProtoMessage& message) const {
  if (format_ != OutputFormat::kTable) return Structured(ToJson(message));
  std::vector<std::vector<std::string>> rows;
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *message.GetDescriptor()->field(i);
    const std::string text = FieldText(message, field.name());
    if (!text.empty()) rows.push_back({Label(field) + ":", Printable(text)});
  }
  Rows(rows);
}

void Printer::Line(const ProtoMessage& message) const {
  std::string json = Json::parse(ToJson(message)).dump();
  if (format_ == OutputFormat::kYaml) {
    output_ << "---\n" << JsonToYaml(json);
  } else {
    output_ << json << "\n";
  }
  WipeString(json);
}

void Printer::List(const std::vector<const ProtoMessage*>& messages, const std::vector<Column>& columns) const {
  if (format_ != OutputFormat::kTable) {
    std::vector<std::string> items;
    for (const ProtoMessage* message : messages) items.push_back(ToJson(*message));
    return Structured(absl::StrCat("[", absl::StrJoin(items, ","), "]"));
  }
  std::vector<std::vector<std::string>> rows(1);
  for (const Column& column : columns) rows[0].push_back(column.header);
  for (const ProtoMessage* message : messages) {
    std::vector<std::string>& row = rows.emplace_back();
    for (const Column& column : columns) row.push_back(Cell(*message, column.path, column.last_segment));
  }
  Rows(rows);
}

void Printer::Facts(const std::vector<Fact>& facts) const {
  if (format_ != OutputFormat::kTable) {
    Json json = Json::object();
    for (const Fact& fact : facts) json[fact.key] = fact.text;
    return Structured(Dump(json));
  }
  std::vector<std::vector<std::string>> rows;
  for (const Fact& fact : facts) rows.push_back({fact.label + ":", Printable(fact.text)});
  Rows(rows);
}

void Printer::Done(const std::string& key, const std::string& name, const std::string& sentence) const {
  if (format_ != OutputFormat::kTable) return Structured(Dump(Json{{key, name}}));
  output_ << Printable(sentence) << "\n";
}

void Printer::Raw(const std::string& text) const { output_ << text; }

}  // namespace keyferry::client::cli
