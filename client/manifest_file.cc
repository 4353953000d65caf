#include "client/manifest_file.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "client/yaml_documents.h"
#include "client/yaml_text.h"
#include "yaml-cpp/yaml.h"

namespace keyferry::client {
namespace {

using Json = nlohmann::json;

constexpr size_t kMostDocuments = 1000;
constexpr int kMostNodes = 100000;
constexpr int kMostLevels = 64;
constexpr double kExactIntegers = 9007199254740992.0;

template <size_t size>
bool IsOneOf(const std::string& text, const char* const (&words)[size]) {
  return std::any_of(std::begin(words), std::end(words), [&](const char* word) { return text == word; });
}

bool AllDigits(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
}

// An integer of YAML 1.1, in any of its bases.
bool ParseInteger(absl::string_view text, Json* value) {
  const std::string plain = absl::StrReplaceAll(text, {{"_", ""}});
  absl::string_view digits = plain;
  const bool negative = absl::ConsumePrefix(&digits, "-");
  if (!negative) absl::ConsumePrefix(&digits, "+");
  if (digits.empty() || std::isdigit(static_cast<unsigned char>(digits[0])) == 0) return false;
  int base = 10;
  if (absl::ConsumePrefix(&digits, "0x") || absl::ConsumePrefix(&digits, "0X")) {
    base = 16;
  } else if (absl::ConsumePrefix(&digits, "0o") || absl::ConsumePrefix(&digits, "0O")) {
    base = 8;
  } else if (absl::ConsumePrefix(&digits, "0b") || absl::ConsumePrefix(&digits, "0B")) {
    base = 2;
  } else if (digits.size() > 1 && digits[0] == '0') {
    base = 8;
  }
  if (digits.empty()) return false;
  const std::string number(digits);
  char* end = nullptr;
  errno = 0;
  const uint64_t magnitude = std::strtoull(number.c_str(), &end, base);
  if (errno != 0 || *end != '\0' || std::isxdigit(static_cast<unsigned char>(number[0])) == 0) return false;
  if (magnitude > static_cast<uint64_t>(INT64_MAX)) return false;
  const int64_t positive = static_cast<int64_t>(magnitude);
  if (negative) {
    *value = -positive;
  } else {
    *value = magnitude;
  }
  return true;
}

// A decimal number with a point, an exponent, or more digits than an integer has.
bool ParseReal(const std::string& text, Json* value) {
  absl::string_view rest = text;
  if (!absl::ConsumePrefix(&rest, "-")) absl::ConsumePrefix(&rest, "+");
  const size_t exponent = rest.find_first_of("eE");
  const absl::string_view mantissa = rest.substr(0, exponent);
  if (exponent != absl::string_view::npos) {
    absl::string_view digits = rest.substr(exponent + 1);
    if (!absl::ConsumePrefix(&digits, "-")) absl::ConsumePrefix(&digits, "+");
    if (!AllDigits(digits)) return false;
  }
  const size_t point = mantissa.find('.');
  const absl::string_view before = mantissa.substr(0, point);
  const absl::string_view after = point == absl::string_view::npos ? "" : mantissa.substr(point + 1);
  if ((before.empty() && after.empty()) || (!before.empty() && !AllDigits(before)) ||
      (!after.empty() && !AllDigits(after))) {
    return false;
  }
  double real = 0;
  if (!absl::SimpleAtod(absl::StripPrefix(text, "+"), &real) || !std::isfinite(real)) return false;
  if (std::floor(real) == real && std::abs(real) < kExactIntegers) {
    *value = static_cast<int64_t>(real);
  } else {
    *value = real;
  }
  return true;
}

class Converter {
 public:
  explicit Converter(absl::string_view file_name) : file_name_(file_name) {}

  absl::StatusOr<Json> Convert(const YAML::Node& node, int level) {
    if (++nodes_ > kMostNodes) return At(node, "the file has too many nodes; split it");
    if (level > kMostLevels) return At(node, "nested too deeply; this is no object of Kubernetes");
    switch (node.Type()) {
      case YAML::NodeType::Scalar:
        return Scalar(node);
      case YAML::NodeType::Sequence:
        return Sequence(node, level);
      case YAML::NodeType::Map:
        return Map(node, level);
      default:
        return Json();
    }
  }

 private:
  absl::Status At(const YAML::Node& node, absl::string_view problem) const {
    return FileErrorAt(file_name_, PositionOf(node.Mark()), problem);
  }

  absl::StatusOr<Json> Sequence(const YAML::Node& node, int level) {
    Json list = Json::array();
    for (const auto& element : node) {
      absl::StatusOr<Json> value = Convert(element, level + 1);
      if (!value.ok()) return value;
      list.push_back(*std::move(value));
    }
    return list;
  }

  absl::StatusOr<Json> Map(const YAML::Node& node, int level) {
    Json map = Json::object();
    for (const auto& entry : node) {
      if (!entry.first.IsScalar()) return At(entry.first, "a key must be a word; correct it");
      const std::string& key = entry.first.Scalar();
      if (key == "<<") return At(entry.first, "merge keys are not resolved; write the fields out");
      absl::StatusOr<Json> value = Convert(entry.second, level + 1);
      if (!value.ok()) return value;
      if (!map.emplace(key, *std::move(value)).second) {
        return At(entry.first, absl::StrCat(ShownKey(key), " is given twice; remove one"));
      }
    }
    return map;
  }

  absl::StatusOr<Json> Scalar(const YAML::Node& node) const {
    const std::string& text = node.Scalar();
    absl::string_view tag = node.Tag();
    if (tag == "!") return Json(text);
    if (absl::ConsumePrefix(&tag, "tag:yaml.org,2002:")) {
      if (tag == "str") return Json(text);
      if (tag != "int" && tag != "float" && tag != "bool" && tag != "null") {
        return At(node, "a tag that manifests do not have; remove it");
      }
    } else if (!tag.empty() && tag != "?") {
      return At(node, "a tag that manifests do not have; remove it");
    }
    return Plain(node, text);
  }

  absl::StatusOr<Json> Plain(const YAML::Node& node, const std::string& text) const {
    if (IsOneOf(text, {"", "~", "null", "Null", "NULL"})) return Json();
    if (IsOneOf(text, {"true", "True", "TRUE"})) return Json(true);
    if (IsOneOf(text, {"false", "False", "FALSE"})) return Json(false);
    if (IsOneOf(text,
                {"yes", "Yes", "YES", "no", "No", "NO", "on", "On", "ON", "off", "Off", "OFF", "y", "Y", "n", "N"})) {
      return At(node, absl::StrCat("some readers of YAML take `", text,
                                   "` for a text and some for true or false; quote it, "
                                   "or write true or false"));
    }
    if (IsOneOf(text, {".inf", ".Inf", ".INF", "-.inf", "+.inf", ".nan", ".NaN", ".NAN"})) {
      return At(node, "no number of JSON; correct it");
    }
    Json value;
    if (ParseInteger(text, &value) || ParseReal(text, &value)) return value;
    return Json(text);
  }

  const absl::string_view file_name_;
  int nodes_ = 0;
};

}  // namespace

absl::StatusOr<std::vector<Json>> ParseManifestFile(const std::string& text, absl::string_view file_name) {
  TextPosition position;
  if (FindBadByte(text, &position)) return FileErrorAt(file_name, position, "not UTF-8 text; correct it");
  std::vector<Json> objects;
  try {
    if (!HasAtMostDocuments(text, kMostDocuments)) {
      return FileErrorAt(file_name, TextPosition(), "too many documents, or none; correct or split it");
    }
    Converter converter(file_name);
    for (const YAML::Node& node : YAML::LoadAll(text)) {
      absl::StatusOr<Json> object = converter.Convert(node, 0);
      if (!object.ok()) return object.status();
      if (object->is_null()) continue;
      if (!object->is_object()) {
        return FileErrorAt(file_name, PositionOf(node.Mark()), "no object of Kubernetes; correct it");
      }
      objects.push_back(*std::move(object));
    }
  } catch (const YAML::Exception& error) {
    return NotYaml(file_name, error);
  }
  return objects;
}

}  // namespace keyferry::client
