#include "server/oauth/providers/update_mask.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "server/errors.h"
#include "server/status_macros.h"
#include "storage/records/typed.h"

namespace keyferry::server {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr int kMaxPaths = 64;

absl::Status Unknown(absl::string_view problem) {
  return InvalidField("update_mask", problem, "Name fields like `display_name` or `authorization.scopes`.");
}

bool IsFixed(const FieldDescriptor& field) {
  static const char* const kFixed[] = {"name",
                                       "callback_url",
                                       "etag",
                                       "create_time",
                                       "creator",
                                       "update_time",
                                       "updater",
                                       "has_client_secret",
                                       "jwks",
                                       "register_dynamically",
                                       "registration_token",
                                       "outdated_connection_count"};
  for (const char* name : kFixed) {
    if (field.name() == name) return true;
  }
  return false;
}

// `from` is left with what `to` had.
void SwapField(const FieldDescriptor& field, Message* from, Message* to) {
  to->GetReflection()->SwapFields(from, to, {&field});
}

// A secret that the request does not have is kept.
void KeepSecret(std::string* (v1::OauthClient::*mutable_secret)(), const std::string& stored, v1::OauthClient* client) {
  std::string* const secret = (client->*mutable_secret)();
  if (secret->empty()) *secret = stored;
}

absl::Status ApplyPath(const std::string& path, v1::OauthProvider* wanted, v1::OauthProvider* definition) {
  const size_t dot = path.find('.');
  const FieldDescriptor* const field = v1::OauthProvider::descriptor()->FindFieldByName(path.substr(0, dot));
  if (field == nullptr || IsFixed(*field)) return Unknown("names a field that there is not, or that cannot change");
  if (dot == std::string::npos) {
    if (field->name() == "client") {
      const v1::OauthClient& stored = definition->client();
      KeepSecret(&v1::OauthClient::mutable_client_secret, stored.client_secret(), wanted->mutable_client());
      KeepSecret(&v1::OauthClient::mutable_certificate_private_key, stored.certificate_private_key(),
                 wanted->mutable_client());
    }
    SwapField(*field, wanted, definition);
    return absl::OkStatus();
  }
  if (field->message_type() == nullptr || field->is_repeated()) return Unknown("names a part of a field without parts");
  const FieldDescriptor* const part = field->message_type()->FindFieldByName(path.substr(dot + 1));
  if (part == nullptr || IsFixed(*part)) return Unknown("names a field that there is not, or that cannot change");
  SwapField(*part, wanted->GetReflection()->MutableMessage(wanted, field),
            definition->GetReflection()->MutableMessage(definition, field));
  return absl::OkStatus();
}

}  // namespace

absl::Status ApplyUpdateMask(const google::protobuf::FieldMask& mask, const v1::OauthProvider& wanted,
                             v1::OauthProvider* definition) {
  if (mask.paths().empty()) return Unknown("required");
  if (mask.paths_size() > kMaxPaths) return Unknown("more than 64 paths");
  for (int i = 0; i < mask.paths_size(); ++i) {
    // A path twice, or within another, would swap back what it has put.
    storage::Wiped<v1::OauthProvider> copy(wanted);
    RETURN_IF_ERROR(ApplyPath(mask.paths(i), &*copy, definition));
  }
  return absl::OkStatus();
}

}  // namespace keyferry::server
