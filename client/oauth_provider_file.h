#ifndef KEYFERRY_CLIENT_OAUTH_PROVIDER_FILE_H_
#define KEYFERRY_CLIENT_OAUTH_PROVIDER_FILE_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/descriptor.h"
#include "keyferry/v1/oauth_providers.pb.h"

namespace keyferry::client {

// Reads one OAuth provider, a YAML text of one document. It has the fields of keyferry.v1.OauthProvider, all of them,
// with the names of Protobuf's JSON mapping (`authorizationUrl`), and is read by reflection, so that a field added to
// the API is one of the file too. As people write it:
//
// - enums by short name (`pkce: OFF`) or full name (OAUTH_PKCE_OFF),
// - durations as `1h`, `90m` or `3600s`,
// - lists of OauthParameter as a map (`parameters: {access_type: offline}`) or as a list of {name, value}.
//
// What the server alone sets (name, callbackUrl, etag, ...) may stand there and is left out, so that what
// `keyferry oauth-provider describe -o yaml` prints is such a file. A secret that is not empty is an error, as are
// unknown keys, keys given twice, values of another type, tags other than !!str, texts that are not UTF-8, a file
// without a document or with two, and more than 256 KiB of text. Limits and what fits together are the server's to
// check.
//
// Fails with INVALID_ARGUMENT, "FILE:LINE:COLUMN: what is wrong", where both count from 1; never repeats a value.
absl::StatusOr<v1::OauthProvider> ParseOauthProviderFile(absl::string_view text, absl::string_view file_name);

// Who gives a field of an OauthProvider or of a message in it.
enum class OauthProviderFieldRole {
  // The file.
  kFile,
  // The server alone; left out.
  kServer,
  // Whoever writes it, but never in a file.
  kSecret,
};
OauthProviderFieldRole RoleOf(const google::protobuf::FieldDescriptor& field);

}  // namespace keyferry::client

#endif  // KEYFERRY_CLIENT_OAUTH_PROVIDER_FILE_H_
