#include "server/oauth/protocol/document.h"

#include <unordered_set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "server/oauth/protocol/encoding.h"
#include "storage/crypto/secret_bytes.h"

namespace keyferry::server {

namespace {

constexpr size_t kMaxBytes = 256 * 1024;
constexpr size_t kMaxDepth = 16;
constexpr size_t kMaxValues = 4096;
constexpr size_t kMaxFormParameters = 256;

}  // namespace

Document::Document(Document&& other) noexcept
    : kind_(other.kind_), text_(std::move(other.text_)), members_(std::move(other.members_)) {
  // A short text was copied.
  other.Wipe();
}

Document& Document::operator=(Document&& other) noexcept {
  if (this == &other) return *this;
  Wipe();
  kind_ = other.kind_;
  text_ = std::move(other.text_);
  members_ = std::move(other.members_);
  other.Wipe();
  return *this;
}

Document::~Document() { Wipe(); }

void Document::Wipe() {
  storage::WipeString(text_);
  members_.clear();
  kind_ = Kind::kNull;
}

// Builds a document from the events of nlohmann's parser, which by itself has no limits.
class DocumentReader {
 public:
  using number_integer_t = nlohmann::json::number_integer_t;
  using number_unsigned_t = nlohmann::json::number_unsigned_t;
  using number_float_t = nlohmann::json::number_float_t;
  using string_t = nlohmann::json::string_t;
  using binary_t = nlohmann::json::binary_t;

  bool null() { return Scalar(Document::Kind::kNull, ""); }
  bool boolean(bool value) { return Scalar(Document::Kind::kBool, value ? "true" : "false"); }
  bool number_integer(number_integer_t value) { return Scalar(Document::Kind::kNumber, absl::StrCat(value)); }
  bool number_unsigned(number_unsigned_t value) { return Scalar(Document::Kind::kNumber, absl::StrCat(value)); }
  bool number_float(number_float_t, const string_t& text) { return Scalar(Document::Kind::kNumber, text); }
  bool string(string_t& text) {
    const bool taken = Scalar(Document::Kind::kString, text);
    storage::WipeString(text);
    return taken;
  }
  bool binary(binary_t&) { return false; }
  bool start_object(size_t) { return Open(Document::Kind::kObject); }
  bool start_array(size_t) { return Open(Document::Kind::kArray); }
  bool end_object() { return Close(); }
  bool end_array() { return Close(); }
  bool key(string_t& name) {
    if (!open_.back().names.insert(name).second) return Stop("an object has a name twice");
    name_ = name;
    return true;
  }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception&) { return Stop("it is no JSON"); }

  const char* problem() const { return problem_; }
  Document Take() { return std::move(root_); }

 private:
  struct Level {
    Document document;
    std::string name;
    std::unordered_set<std::string> names;
  };

  bool Stop(const char* problem) {
    problem_ = problem;
    return false;
  }

  bool Scalar(Document::Kind kind, absl::string_view text) {
    Document value;
    value.kind_ = kind;
    value.text_.assign(text.data(), text.size());
    return Put(std::move(name_), std::move(value));
  }

  bool Open(Document::Kind kind) {
    if (open_.size() >= kMaxDepth) return Stop("it is nested too deeply");
    open_.emplace_back();
    open_.back().document.kind_ = kind;
    open_.back().name = std::move(name_);
    name_.clear();
    return true;
  }

  bool Close() {
    Level level = std::move(open_.back());
    open_.pop_back();
    return Put(std::move(level.name), std::move(level.document));
  }

  bool Put(std::string name, Document value) {
    name_.clear();
    if (++values_ > kMaxValues) return Stop("it has too many values");
    if (open_.empty()) {
      root_ = std::move(value);
    } else {
      open_.back().document.members_.emplace_back(std::move(name), std::move(value));
    }
    return true;
  }

  std::vector<Level> open_;
  std::string name_;
  size_t values_ = 0;
  Document root_;
  const char* problem_ = "it is no JSON";
};

absl::StatusOr<Document> Document::ParseJson(absl::string_view text) {
  if (text.size() > kMaxBytes) return absl::InvalidArgumentError("it is longer than 256 KiB");
  DocumentReader reader;
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &reader)) {
    return absl::InvalidArgumentError(reader.problem());
  }
  return reader.Take();
}

absl::StatusOr<Document> Document::ParseFormText(absl::string_view text) {
  if (text.size() > kMaxBytes) return absl::InvalidArgumentError("it is longer than 256 KiB");
  absl::StatusOr<ParameterList> parameters = ParseForm(absl::StripAsciiWhitespace(text), kMaxFormParameters);
  if (!parameters.ok()) return parameters.status();
  Document document;
  document.kind_ = Kind::kObject;
  for (const Parameter& parameter : parameters->all()) {
    if (!IsUtf8(parameter.name) || !IsUtf8(parameter.value)) return absl::InvalidArgumentError("it is not UTF-8");
    Document value;
    value.kind_ = Kind::kString;
    value.text_ = parameter.value;
    document.members_.emplace_back(parameter.name, std::move(value));
  }
  return document;
}

absl::StatusOr<Document> Document::ParseResponse(const HttpResponse& response, v1::OauthResponseFormat format) {
  if (format == v1::OAUTH_RESPONSE_FORMAT_JSON) return ParseJson(response.body);
  if (format == v1::OAUTH_RESPONSE_FORMAT_FORM) return ParseFormText(response.body);
  const std::string type = absl::AsciiStrToLower(response.Header("Content-Type"));
  if (absl::StrContains(type, "html")) return absl::InvalidArgumentError("it is a web page");
  if (absl::StartsWith(type, "application/x-www-form-urlencoded")) return ParseFormText(response.body);
  const absl::string_view text = absl::StripAsciiWhitespace(response.body);
  if (absl::StrContains(type, "json") || absl::StartsWith(text, "{") || absl::StartsWith(text, "[")) {
    return ParseJson(response.body);
  }
  if (absl::StartsWith(text, "<")) return absl::InvalidArgumentError("it is a web page");
  if (absl::StrContains(text, '=')) return ParseFormText(response.body);
  return absl::InvalidArgumentError("it is neither JSON nor a form");
}

const Document* Document::Find(absl::string_view path) const {
  if (kind_ == Kind::kObject) {
    for (const auto& [name, value] : members_) {
      if (name == path) return value.kind_ == Kind::kNull ? nullptr : &value;
    }
  }
  const size_t dot = path.find('.');
  const absl::string_view first = path.substr(0, dot);
  const Document* next = nullptr;
  size_t index = 0;
  if (kind_ == Kind::kObject) {
    for (const auto& [name, value] : members_) {
      if (name == first) next = &value;
    }
  } else if (kind_ == Kind::kArray && absl::SimpleAtoi(first, &index) && index < members_.size()) {
    next = &members_[index].second;
  }
  if (next == nullptr || next->kind_ == Kind::kNull) return nullptr;
  return dot == absl::string_view::npos ? next : next->Find(path.substr(dot + 1));
}

absl::string_view Document::TextAt(absl::string_view path) const {
  const Document* found = Find(path);
  return found == nullptr ? "" : found->text();
}

std::vector<std::string> Document::StringsAt(absl::string_view path) const {
  std::vector<std::string> out;
  const Document* found = Find(path);
  if (found == nullptr || found->kind_ != Kind::kArray) return out;
  for (const auto& [name, value] : found->members_) {
    if (value.is_string()) out.emplace_back(value.text());
  }
  return out;
}

}  // namespace keyferry::server
