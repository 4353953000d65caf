#ifndef KEYFERRY_SERVER_OAUTH_PROTOCOL_DOCUMENT_H_
#define KEYFERRY_SERVER_OAUTH_PROTOCOL_DOCUMENT_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "keyferry/v1/oauth_providers.pb.h"
#include "server/http/http_client.h"

namespace keyferry::server {

// What a provider answered: JSON (RFC 8259), or a form as an object of strings. Its texts may be secrets: they are
// wiped with it. Moved, never copied.
class Document {
 public:
  enum class Kind { kNull, kBool, kNumber, kString, kArray, kObject };

  Document() = default;
  Document(Document&& other) noexcept;
  Document& operator=(Document&& other) noexcept;
  Document(const Document&) = delete;
  Document& operator=(const Document&) = delete;
  ~Document();

  // At most 256 KiB, 16 levels and 4096 values, without a name that comes twice in one object: two readers would
  // understand it in two ways. INVALID_ARGUMENT otherwise; the message holds none of the text. Never throws.
  static absl::StatusOr<Document> ParseJson(absl::string_view text);
  static absl::StatusOr<Document> ParseFormText(absl::string_view text);
  // As `format` says; AUTO goes by the content type, and where that says neither by the first byte.
  static absl::StatusOr<Document> ParseResponse(const HttpResponse& response, v1::OauthResponseFormat format);

  Kind kind() const { return kind_; }
  bool is_object() const { return kind_ == Kind::kObject; }
  bool is_string() const { return kind_ == Kind::kString; }

  // Of a string, a number (as it was written) or a bool ("true", "false"); "" for the others.
  absl::string_view text() const { return text_; }
  // Of an object, or an array (with empty names), in order.
  const std::vector<std::pair<std::string, Document>>& members() const { return members_; }

  // What stands at `path`, names joined by dots; a number counts into an array. A member whose own name has dots is
  // found by that. Null if there is nothing, or JSON's null.
  const Document* Find(absl::string_view path) const;
  // Text at `path`, "" if there is nothing or no text.
  absl::string_view TextAt(absl::string_view path) const;
  // Strings of the array at `path`.
  std::vector<std::string> StringsAt(absl::string_view path) const;

 private:
  friend class DocumentReader;

  void Wipe();

  Kind kind_ = Kind::kNull;
  std::string text_;
  std::vector<std::pair<std::string, Document>> members_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROTOCOL_DOCUMENT_H_
