#ifndef KEYFERRY_SERVER_RESOLUTION_TEMPLATE_H_
#define KEYFERRY_SERVER_RESOLUTION_TEMPLATE_H_

#include "absl/strings/string_view.h"
#include "storage/crypto/secret_bytes.h"

namespace keyferry::server {

// `text` with each `{value}` replaced by `value`. What `value` holds is not looked at again.
storage::SecretBytes ApplyTemplate(absl::string_view text, absl::string_view value);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_RESOLUTION_TEMPLATE_H_
