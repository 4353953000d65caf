#ifndef KEYFERRY_SERVER_OAUTH_PROVIDERS_PROVIDER_PROBE_H_
#define KEYFERRY_SERVER_OAUTH_PROVIDERS_PROVIDER_PROBE_H_

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/http/http_client.h"
#include "server/oauth/protocol/discovery.h"
#include "server/oauth/protocol/token_client.h"
#include "server/oauth/providers/provider_check.h"

namespace keyferry::server {

// What a provider's endpoints answered to a check.
struct ProbeAnswers {
  // Absent if there is nobody to ask.
  std::optional<absl::StatusOr<DiscoveredMetadata>> metadata;
  // By the name of the endpoint's field, e.g. "authorization_url".
  std::map<std::string, absl::StatusOr<HttpResponse>> pages;
  // Absent if the token endpoint cannot be asked.
  std::optional<TokenResult> token;
  // Endpoints that depend on a variable which each connection gives for itself.
  std::map<std::string, std::string> open_variables;
};

// Sends all requests of a check, waits, and answers what came within that time; what did not is DEADLINE_EXCEEDED.
ProbeAnswers ProbeProvider(const ProviderCheck& check, const std::shared_ptr<const ProviderDefinition>& definition);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROVIDERS_PROVIDER_PROBE_H_
