#ifndef KEYFERRY_SERVER_IDENTITY_JWT_JSON_MEMBER_H_
#define KEYFERRY_SERVER_IDENTITY_JWT_JSON_MEMBER_H_

#include "absl/strings/string_view.h"
#include "server/oauth/protocol/document.h"

namespace keyferry::server {

// The member of exactly that name, JSON's null too; null if there is none or `object` is no object. Unlike
// Document::Find it takes no paths: names come from whoever wrote the text.
inline const Document* Member(const Document& object, absl::string_view name) {
  if (!object.is_object()) return nullptr;
  for (const auto& [member, value] : object.members()) {
    if (member == name) return &value;
  }
  return nullptr;
}

// Its text, "" if it is missing or no string.
inline absl::string_view MemberText(const Document& object, absl::string_view name) {
  const Document* const member = Member(object, name);
  return member != nullptr && member->is_string() ? member->text() : absl::string_view();
}

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_IDENTITY_JWT_JSON_MEMBER_H_
