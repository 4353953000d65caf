#include "client/cli/oauth_provider_update.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cli/oauth_provider_input.h"
#include "client/cli/oauth_provider_parts.h"
#include "keyferry/v1/oauth_providers.grpc.pb.h"

namespace keyferry::client::cli {

const char kUpdateOauthProviderHelp[] =
    "Changes what is given and nothing else. --from and --file put a whole definition in the place of the stored one;\n"
    "secrets, client id, certificate and values of URL variables stay unless they are given, with --from the scopes\n"
    "as well. A new client secret: keyferry oauth-provider update google --client-secret-file - < client-secret\n"
    "Where an endpoint moves to another host, or the issuer changes, the stored client secret is not sent there: give\n"
    "one with --client-secret-file. Connections are then refreshed no more, and have to be made anew when their "
    "access\n"
    "token ends; how many is said first, and asked unless --yes is given.";

namespace {

using Stub = v1::OauthProviderService::Stub;

void AddPath(const std::string& path, v1::UpdateOauthProviderRequest* request) {
  const auto& paths = request->update_mask().paths();
  const std::string head = path.substr(0, path.find('.'));
  for (const std::string& known : paths) {
    if (known == path || known == head) return;
  }
  request->mutable_update_mask()->add_paths(path);
}

// The definition in `request` and the paths that it changes, made on top of what is stored where that matters.
Outcome ReadUpdate(Context& context, const Arguments& arguments, v1::UpdateOauthProviderRequest* request) {
  v1::OauthProvider& provider = *request->mutable_oauth_provider();
  const bool definition = arguments.Has("--from") || arguments.Has("--file");
  KEYFERRY_RETURN_IF_FAILED(ReadDefinition(context, arguments, &provider));
  std::string name;
  KEYFERRY_RETURN_IF_FAILED(OauthProviderName(context, arguments, &name));
  if (definition || arguments.Has("--var")) {
    v1::OauthProvider stored;
    KEYFERRY_RETURN_IF_FAILED(GetOauthProvider(context, name, &stored));
    if (definition) {
      KeepChoices(stored, /*scopes=*/arguments.Has("--from"), &provider);
      for (const std::string& path : DefinitionPaths(provider)) AddPath(path, request);
    } else {
      *provider.mutable_url_variables() = stored.url_variables();
    }
    provider.set_etag(stored.etag());
  }
  provider.set_name(name);
  KEYFERRY_RETURN_IF_FAILED(ApplyOptions(arguments, &provider));
  static const std::pair<const char*, const char*> kPaths[] = {
      {"--display-name", "display_name"},
      {"--client-id", "client.client_id"},
      {"--issuer", "endpoints.issuer"},
      {"--resource", "endpoints.resource"},
      {"--scope", "authorization.scopes"},
      {"--var", "url_variables"},
      {"--client-secret-file", "client.client_secret"},
      {"--certificate-key-file", "client.certificate_private_key"},
  };
  for (const auto& [option, path] : kPaths) {
    if (arguments.Has(option)) AddPath(path, request);
  }
  if (!request->update_mask().paths().empty()) return std::nullopt;
  return UsageFailure("nothing to change: keyferry oauth-provider update; see `keyferry oauth-provider update --help`");
}

// Whether the update may let an endpoint move to another host.
bool MayMove(const v1::UpdateOauthProviderRequest& request) {
  for (const std::string& path : request.update_mask().paths()) {
    const std::string head = path.substr(0, path.find('.'));
    if (head == "endpoints" || head == "url_variables" || head == "token") return true;
  }
  return false;
}

// Asks before connections end.
Outcome ConfirmMove(Context& context, bool yes, const v1::UpdateOauthProviderRequest& wanted) {
  if (!MayMove(wanted)) return std::nullopt;
  v1::UpdateOauthProviderRequest request = wanted;
  request.set_validate_only(true);
  v1::OauthProvider tried;
  Outcome outcome = context.Call(Idempotent::kYes, &Stub::UpdateOauthProvider, request, &tried);
  WipeSecrets(request.mutable_oauth_provider());
  KEYFERRY_RETURN_IF_FAILED(std::move(outcome));
  if (tried.outdated_connection_count() == 0) return std::nullopt;
  *context.streams().error << "An endpoint moves to another host. Connections that have to be made anew: "
                           << tried.outdated_connection_count() << "\n";
  return context.Confirm(absl::StrCat("Update ", request.oauth_provider().name(), "?"), yes);
}

// What follows from an update for others.
void NoteMove(const Context& context, const v1::OauthProvider& updated) {
  if (updated.outdated_connection_count() > 0) {
    *context.streams().error << "keyferry: note: connections that have to be made anew: "
                             << updated.outdated_connection_count() << "; keyferry connection list shows them\n";
  }
}

}  // namespace

Outcome UpdateOauthProvider(Context& context, const Arguments& arguments) {
  v1::UpdateOauthProviderRequest request;
  KEYFERRY_RETURN_IF_FAILED(ReadUpdate(context, arguments, &request));
  v1::OauthProvider* const wanted = request.mutable_oauth_provider();
  Outcome outcome = ReadSecrets(context, arguments, /*ask_for_client_secret=*/false, wanted);
  if (!outcome.has_value()) outcome = ConfirmMove(context, arguments.Has("--yes"), request);
  v1::OauthProvider provider;
  if (!outcome.has_value()) outcome = context.Call(Idempotent::kYes, &Stub::UpdateOauthProvider, request, &provider);
  WipeSecrets(wanted);
  KEYFERRY_RETURN_IF_FAILED(std::move(outcome));
  PrintOauthProvider(context, provider);
  NoteMove(context, provider);
  if (arguments.Has("--client-secret-file")) NoteUnusedSecret(context, provider);
  // It may be another.
  if (MayMove(request)) NoteKeySet(context, provider);
  return std::nullopt;
}

}  // namespace keyferry::client::cli
