#include "client/credential_file.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "client/dotenv.h"
#include "client/utf8.h"
#include "client/yaml_documents.h"
#include "nlohmann/json.hpp"
#include "yaml-cpp/yaml.h"

namespace keyferry::client {
namespace {

// Counts from 1.
struct Position {
  int line = 1;
  int column = 1;
};

Position PositionOf(absl::string_view text, size_t offset) {
  const absl::string_view before = text.substr(0, offset);
  const size_t line_start = before.rfind('\n') == absl::string_view::npos ? 0 : before.rfind('\n') + 1;
  return {static_cast<int>(std::count(before.begin(), before.end(), '\n')) + 1,
          static_cast<int>(before.size() - line_start) + 1};
}

// Gathers what a JSON or YAML file holds and refuses what no credential can be.
class Gatherer {
 public:
  explicit Gatherer(absl::string_view file_name) : file_name_(file_name) {}

  absl::Status At(Position position, absl::string_view problem) const {
    return FileError(file_name_, position.line, position.column, problem);
  }

  absl::Status Begin(const std::string& name, Position position) {
    // Not shown: it may be part of a value.
    if (!IsVariableName(name)) return At(position, "a key must be the name of a variable");
    if (!names_.insert(name).second) return At(position, absl::StrCat(name, " is given twice"));
    credentials_.emplace_back().name = name;
    keys_.clear();
    return absl::OkStatus();
  }

  // One of the keys of {value, description, rotateBy}.
  absl::Status Key(const std::string& key, Position position) {
    if (key != "value" && key != "description" && key != "rotateBy") {
      return At(position, "unknown key; known are value, description, rotateBy");
    }
    if (!keys_.insert(key).second) return At(position, absl::StrCat("`", key, "` is given twice"));
    return absl::OkStatus();
  }

  // Wipes `text`.
  absl::Status Value(std::string& text, Position position) {
    SecretText value(text.size());
    std::copy(text.begin(), text.end(), value.ExposeMutable());
    WipeString(text);
    keys_.insert("value");
    const absl::string_view name = credentials_.back().name;
    if (value.empty()) return At(position, absl::StrCat("the value of ", name, " is empty"));
    if (value.size() > kMaxCredentialValueBytes) {
      return At(position, absl::StrCat("the value of ", name, " is longer than 64 KiB"));
    }
    if (value.Expose().find('\0') != absl::string_view::npos) {
      return At(position, absl::StrCat("the value of ", name, " holds a NUL byte, which no variable can"));
    }
    credentials_.back().value = std::move(value);
    return absl::OkStatus();
  }

  absl::Status Field(const std::string& key, std::string& text, Position position) {
    if (key == "value") return Value(text, position);
    if (key == "description") {
      credentials_.back().description = text;
      return absl::OkStatus();
    }
    std::string error;
    if (!absl::ParseTime("%Y-%m-%d", text, absl::UTCTimeZone(), &credentials_.back().rotate_by, &error) &&
        !absl::ParseTime(absl::RFC3339_full, text, &credentials_.back().rotate_by, &error)) {
      return At(position, "`rotateBy` must be a date such as 2027-01-31 or 2027-01-31T10:00:00Z");
    }
    return absl::OkStatus();
  }

  absl::Status End(Position position) const {
    if (keys_.count("value") != 0) return absl::OkStatus();
    return At(position, absl::StrCat(credentials_.back().name, " has no `value`"));
  }

  absl::StatusOr<std::vector<FileCredential>> Take() {
    if (credentials_.empty()) return At(Position(), "no credential in this file");
    return std::move(credentials_);
  }

 private:
  const absl::string_view file_name_;
  std::vector<FileCredential> credentials_;
  std::set<std::string> names_;
  // Those of the last credential.
  std::set<std::string> keys_;
};

// Hands out a text and counts, so that an event of the parser has a place.
class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* at, size_t* consumed) : at_(at), consumed_(consumed) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    ++at_;
    ++*consumed_;
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator before = *this;
    ++*this;
    return before;
  }
  bool operator==(const CountingIterator& other) const { return at_ == other.at_; }
  bool operator!=(const CountingIterator& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  size_t* consumed_;
};

// The events of a JSON document. Depth 1 is the object of names, depth 2 that of one credential.
class JsonHandler : public nlohmann::json_sax<nlohmann::json> {
 public:
  JsonHandler(absl::string_view text, Gatherer* gatherer, const size_t* consumed)
      : text_(text), gatherer_(gatherer), consumed_(consumed) {}

  absl::Status TakeStatus() { return std::move(status_); }

  bool null() override { return NotAText(); }
  bool boolean(bool) override { return NotAText(); }
  bool number_integer(number_integer_t) override { return NotAText(); }
  bool number_unsigned(number_unsigned_t) override { return NotAText(); }
  bool number_float(number_float_t, const string_t&) override { return NotAText(); }
  bool binary(binary_t&) override { return NotAText(); }
  bool start_array(std::size_t) override { return NotAText(); }
  bool end_array() override { return true; }
  bool start_object(std::size_t) override {
    if (++depth_ <= 2) return true;
    return NotAText();
  }
  bool end_object() override { return --depth_ != 1 || Done(gatherer_->End(Here())); }
  bool key(string_t& text) override {
    const bool good = Done(depth_ == 1 ? gatherer_->Begin(text, Here()) : gatherer_->Key(text, Here()));
    if (depth_ == 2) key_ = text;
    return good;
  }
  bool string(string_t& text) override {
    if (depth_ == 0) return NotAText();
    return Done(depth_ == 1 ? gatherer_->Value(text, Here()) : gatherer_->Field(key_, text, Here()));
  }
  // The parser's message shows what it read last.
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    return Done(gatherer_->At(PositionOf(text_, position > 0 ? position - 1 : 0), "not JSON"));
  }

 private:
  // The last byte that was read. Counts on from where it last was.
  Position Here() {
    const size_t end = *consumed_ > 0 ? *consumed_ - 1 : 0;
    for (; counted_ < end; ++counted_) {
      if (text_[counted_] != '\n') continue;
      ++line_;
      line_start_ = counted_ + 1;
    }
    return {line_, static_cast<int>(end - line_start_) + 1};
  }
  bool NotAText() {
    return Done(gatherer_->At(Here(), depth_ == 0 ? "must be an object of names and values"
                                                  : "must be a text, or an object of value, description, rotateBy"));
  }
  bool Done(absl::Status status) {
    status_ = std::move(status);
    return status_.ok();
  }

  const absl::string_view text_;
  Gatherer* const gatherer_;
  const size_t* const consumed_;
  size_t counted_ = 0;
  int line_ = 1;
  size_t line_start_ = 0;
  int depth_ = 0;
  std::string key_;
  absl::Status status_;
};

absl::StatusOr<std::vector<FileCredential>> ParseJson(absl::string_view text, absl::string_view file_name) {
  Gatherer gatherer(file_name);
  size_t consumed = 0;
  JsonHandler handler(text, &gatherer, &consumed);
  const bool good = nlohmann::json::sax_parse(CountingIterator(text.data(), &consumed),
                                              CountingIterator(text.data() + text.size(), &consumed), &handler);
  absl::Status status = handler.TakeStatus();
  if (!status.ok()) return status;
  if (!good) return gatherer.At(Position(), "not JSON");
  return gatherer.Take();
}

Position PositionOf(const YAML::Mark& mark) { return {std::max(mark.line, 0) + 1, std::max(mark.column, 0) + 1}; }

// A text as it is written; `null` and what has a tag of another kind is none.
absl::Status YamlText(const Gatherer& gatherer, const YAML::Node& node, Position position, std::string* text) {
  const std::string& tag = node.Tag();
  const bool tagged = !tag.empty() && tag != "?" && tag != "!" && tag != "tag:yaml.org,2002:str";
  if (!node.IsScalar() || tagged) {
    return gatherer.At(position, "must be a text, or a mapping of value, description, rotateBy");
  }
  *text = node.Scalar();
  return absl::OkStatus();
}

// Where a node stands. What is left empty stands nowhere: then its key's place.
Position PlaceOf(const YAML::Node& key, const YAML::Node& node) {
  return PositionOf(node.Mark().is_null() ? key.Mark() : node.Mark());
}

absl::Status YamlCredential(const YAML::Node& name, const YAML::Node& node, Gatherer* gatherer) {
  std::string text;
  const Position position = PlaceOf(name, node);
  if (!node.IsMap()) {
    absl::Status status = YamlText(*gatherer, node, position, &text);
    return status.ok() ? gatherer->Value(text, position) : status;
  }
  for (const auto& entry : node) {
    std::string key;
    const Position key_position = PositionOf(entry.first.Mark());
    const Position value_position = PlaceOf(entry.first, entry.second);
    absl::Status status = YamlText(*gatherer, entry.first, key_position, &key);
    if (status.ok()) status = gatherer->Key(key, key_position);
    if (status.ok()) status = YamlText(*gatherer, entry.second, value_position, &text);
    if (status.ok()) status = gatherer->Field(key, text, value_position);
    if (!status.ok()) return status;
  }
  return gatherer->End(position);
}

absl::StatusOr<std::vector<FileCredential>> ParseYaml(absl::string_view text, absl::string_view file_name) {
  Gatherer gatherer(file_name);
  const size_t bad = std::min(FindInvalidUtf8(text), text.find('\0'));
  if (bad != absl::string_view::npos) return gatherer.At(PositionOf(text, bad), "not UTF-8 text");
  std::string whole(text);
  const auto parse = [&]() -> absl::Status {
    if (!HasAtMostDocuments(whole, 1)) return gatherer.At(Position(), "not YAML, or more than one document");
    const YAML::Node root = YAML::Load(whole);
    if (!root.IsDefined() || root.IsNull()) return absl::OkStatus();
    if (!root.IsMap()) return gatherer.At(PositionOf(root.Mark()), "must be a mapping of names and values");
    for (const auto& entry : root) {
      std::string name;
      const Position position = PositionOf(entry.first.Mark());
      absl::Status status = YamlText(gatherer, entry.first, position, &name);
      if (status.ok()) status = gatherer.Begin(name, position);
      if (status.ok()) status = YamlCredential(entry.first, entry.second, &gatherer);
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  };
  absl::Status status;
  try {
    status = parse();
  } catch (const YAML::Exception& error) {
    // What follows a colon repeats the text.
    status = gatherer.At(PositionOf(error.mark), error.msg.substr(0, error.msg.find(':')));
  }
  WipeString(whole);
  if (!status.ok()) return status;
  return gatherer.Take();
}

absl::StatusOr<std::vector<FileCredential>> FromDotenv(absl::string_view text, absl::string_view file_name) {
  absl::StatusOr<std::vector<DotenvEntry>> entries = ParseDotenv(text, file_name);
  if (!entries.ok()) return entries.status();
  if (entries->empty()) return FileError(file_name, 1, 1, "no credential in this file");
  std::vector<FileCredential> credentials;
  for (DotenvEntry& entry : *entries) {
    FileCredential& credential = credentials.emplace_back();
    credential.name = std::move(entry.name);
    credential.value = std::move(entry.value);
  }
  return credentials;
}

}  // namespace

absl::StatusOr<std::vector<FileCredential>> ParseCredentialFile(absl::string_view text, CredentialFileFormat format,
                                                                absl::string_view file_name) {
  switch (format) {
    case CredentialFileFormat::kJson:
      return ParseJson(text, file_name);
    case CredentialFileFormat::kYaml:
      return ParseYaml(text, file_name);
    case CredentialFileFormat::kDotenv:
      break;
  }
  return FromDotenv(text, file_name);
}

}  // namespace keyferry::client
