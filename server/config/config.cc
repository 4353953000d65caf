#include "server/config/config.h"

#include "absl/strings/str_cat.h"
#include "server/config/backup_config.h"
#include "server/config/identity_config.h"
#include "server/config/sections.h"
#include "server/status_macros.h"

namespace keyferry::server {

absl::Status MissingKey(absl::string_view path) {
  for (const ConfigKey& key : ConfigKeys()) {
    if (key.path == path) {
      return absl::InvalidArgumentError(
          absl::StrCat("`", path, "` is not set; set it in the configuration file or with ", key.flag));
    }
  }
  return absl::InternalError("no such key");
}

absl::Status CompleteConfig(config::Config* config) {
  if (config->listen().empty()) config->set_listen("127.0.0.1:7443");
  if (config->data_dir().empty()) return MissingKey("data_dir");
  RETURN_IF_ERROR(CheckKeyProviders(*config));
  if (config->log().level().empty()) config->mutable_log()->set_level("info");
  config::Audit& audit = *config->mutable_audit();
  if (audit.stream().empty()) audit.set_stream("off");
  if (!audit.has_retention_days()) audit.set_retention_days(400);
  RETURN_IF_ERROR(CompleteLimits(config->mutable_limits()));
  RETURN_IF_ERROR(CompleteHttp(config->tls(), config->mutable_http()));
  RETURN_IF_ERROR(CompleteMetrics(config->tls(), config->mutable_metrics()));
  RETURN_IF_ERROR(CheckOutbound(config->outbound()));
  RETURN_IF_ERROR(CompleteIdentity(config->mutable_identity()));
  RETURN_IF_ERROR(CompleteBackup(config->mutable_backup()));
  return CompleteRates(config->mutable_limits());
}

}  // namespace keyferry::server
