#include "absl/strings/str_cat.h"
#include "server/config/sections.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

absl::Status CheckOne(const config::KeyProvider& provider, absl::string_view name) {
  if (!provider.file().empty() && !provider.passphrase_file().empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("`", name, ".file` and `", name, ".passphrase_file` are both set; keep one"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckKeyProviders(const config::Config& config) {
  RETURN_IF_ERROR(CheckOne(config.key_provider(), "key_provider"));
  RETURN_IF_ERROR(CheckOne(config.previous_key_provider(), "previous_key_provider"));
  if (config.key_provider().file().empty() && config.key_provider().passphrase_file().empty()) {
    return MissingKey("key_provider.file");
  }
  return absl::OkStatus();
}

}  // namespace keyferry::server
