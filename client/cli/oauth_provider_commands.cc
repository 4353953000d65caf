#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/catalogue/catalogue.h"
#include "client/cli/commands.h"
#include "client/cli/context.h"
#include "client/cli/oauth_provider_input.h"
#include "client/cli/oauth_provider_parts.h"
#include "client/cli/oauth_provider_update.h"
#include "client/oauth_provider_file.h"
#include "keyferry/v1/oauth_providers.grpc.pb.h"

namespace keyferry::client::cli {
namespace {

using Stub = v1::OauthProviderService::Stub;

constexpr char kCreateHelp[] =
    "Give one of --from, --file, --issuer and --resource, e.g.\n"
    "  keyferry oauth-provider create google --from google --client-id ID < client-secret\n"
    "  keyferry oauth-provider create linear-mcp --resource https://mcp.linear.app/mcp --register\n"
    "Where the client authenticates with a secret it is standard input, less one trailing newline; on a terminal it "
    "is\n"
    "asked for and not shown; --client-secret-file names a file instead. Where the definition does not say how the\n"
    "client authenticates, an empty standard input means a public client. Prints the redirect URI to register, which "
    "is\n"
    "this provider's alone; with --dry-run it is known before.";

Outcome Create(Context& context, const Arguments& arguments) {
  v1::CreateOauthProviderRequest request;
  v1::OauthProvider& provider = *request.mutable_oauth_provider();
  if (!arguments.Has("--from") && !arguments.Has("--file") && !arguments.Has("--issuer") &&
      !arguments.Has("--resource")) {
    return UsageFailure(
        "no definition: keyferry oauth-provider create; give one of --from, --file, --issuer and --resource");
  }
  // A wrong id or file is noticed before anybody types a secret.
  std::string name;
  KEYFERRY_RETURN_IF_FAILED(OauthProviderName(context, arguments, &name));
  const size_t end = name.rfind("/oauthProviders/");
  if (end == std::string::npos) {
    return BadData(absl::StrCat("not a provider's resource name: ", name, "; it ends in /oauthProviders/ID"));
  }
  request.set_parent(name.substr(0, end));
  request.set_oauth_provider_id(name.substr(end + sizeof("/oauthProviders/") - 1));
  request.set_validate_only(arguments.Has("--dry-run"));
  KEYFERRY_RETURN_IF_FAILED(ReadDefinition(context, arguments, &provider));
  KEYFERRY_RETURN_IF_FAILED(ApplyOptions(arguments, &provider));
  if (arguments.Has("--register")) provider.mutable_client()->set_register_dynamically(true);
  Outcome outcome = ReadSecrets(context, arguments, /*ask_for_client_secret=*/true, &provider);
  v1::OauthProvider created;
  if (!outcome.has_value()) outcome = context.Call(Idempotent::kNo, &Stub::CreateOauthProvider, request, &created);
  WipeSecrets(&provider);
  KEYFERRY_RETURN_IF_FAILED(std::move(outcome));
  PrintOauthProvider(context, created);
  if (arguments.Has("--dry-run")) *context.streams().error << "keyferry: note: a dry run; nothing was changed\n";
  // In a dry run as well: the redirect URI is the same before the provider is made.
  NoteRegistration(context, created);
  if (arguments.Has("--client-secret-file")) NoteUnusedSecret(context, created);
  return std::nullopt;
}

Outcome List(Context& context, const Arguments&) {
  v1::ListOauthProvidersRequest request;
  KEYFERRY_RETURN_IF_FAILED(context.Org(request.mutable_parent()));
  std::vector<v1::OauthProvider> providers;
  KEYFERRY_RETURN_IF_FAILED(
      context.List(&Stub::ListOauthProviders, request, &v1::ListOauthProvidersResponse::oauth_providers, &providers));
  context.PrintList(providers, {{"ID", "name", true},
                                {"DISPLAY-NAME", "display_name"},
                                {"GRANT", "grant_type"},
                                {"CLIENT-ID", "client.client_id"},
                                {"SCOPES", "authorization.scopes"},
                                {"UPDATED", "update_time"}});
  return std::nullopt;
}

Outcome Describe(Context& context, const Arguments& arguments) {
  std::string name;
  KEYFERRY_RETURN_IF_FAILED(OauthProviderName(context, arguments, &name));
  v1::OauthProvider provider;
  KEYFERRY_RETURN_IF_FAILED(GetOauthProvider(context, name, &provider));
  PrintOauthProvider(context, provider);
  return std::nullopt;
}

// Who is affected, before the question.
void WarnOfAffected(const Context& context, const std::string& name, const v1::DeleteOauthProviderResponse& affected) {
  std::ostream& error = *context.streams().error;
  const std::string id = name.substr(name.rfind('/') + 1);
  if (!affected.shared_connections().empty()) {
    error << "Connections that end: " << absl::StrJoin(affected.shared_connections(), ", ") << "\n";
  }
  if (affected.user_connection_count() > 0) {
    error << "People whose connections end: " << affected.user_connection_count() << "\n";
  }
  if (!affected.mcp_servers().empty()) {
    error << "These MCP servers bind " << id << ": " << absl::StrJoin(affected.mcp_servers(), ", ") << "\n";
  }
  if (affected.process_count() > 0) {
    error << "Processes that run with a token of it now: " << affected.process_count() << "\n";
  }
}

Outcome Delete(Context& context, const Arguments& arguments) {
  v1::DeleteOauthProviderRequest request;
  KEYFERRY_RETURN_IF_FAILED(OauthProviderName(context, arguments, request.mutable_name()));
  v1::OauthProvider provider;
  KEYFERRY_RETURN_IF_FAILED(GetOauthProvider(context, request.name(), &provider));
  // What is deleted is what was shown.
  request.set_etag(provider.etag());
  request.set_validate_only(true);
  v1::DeleteOauthProviderResponse affected;
  KEYFERRY_RETURN_IF_FAILED(context.Call(Idempotent::kYes, &Stub::DeleteOauthProvider, request, &affected));
  WarnOfAffected(context, request.name(), affected);
  KEYFERRY_RETURN_IF_FAILED(context.Confirm(
      absl::StrCat("Delete ", request.name(), " and every connection to it for good?"), arguments.Has("--yes")));
  request.set_validate_only(false);
  KEYFERRY_RETURN_IF_FAILED(context.Call(Idempotent::kNo, &Stub::DeleteOauthProvider, request, &affected));
  context.printer().Done("deleted", request.name(), absl::StrCat("Deleted ", request.name()));
  return std::nullopt;
}

Outcome Check(Context& context, const Arguments& arguments) {
  v1::CheckOauthProviderRequest request;
  KEYFERRY_RETURN_IF_FAILED(OauthProviderName(context, arguments, request.mutable_name()));
  v1::CheckOauthProviderResponse response;
  KEYFERRY_RETURN_IF_FAILED(context.Call(Idempotent::kYes, &Stub::CheckOauthProvider, request, &response));
  if (context.printer().format() != OutputFormat::kTable) {
    context.printer().Message(response);
  } else {
    const std::vector<v1::OauthFinding> findings(response.findings().begin(), response.findings().end());
    context.PrintList(
        findings,
        {{"SEVERITY", "severity"}, {"SUBJECT", "subject"}, {"FINDING", "message"}, {"NEXT-STEP", "next_step"}});
  }
  if (response.healthy()) return std::nullopt;
  return Failure{ExitCode::kOther,
                 absl::StrCat("the provider cannot be used as it is: ", request.name(), "; see the findings")};
}

Outcome ShowCatalogue(Context& context, const Arguments& arguments) {
  const std::string& name = arguments.Text("NAME");
  if (!name.empty()) {
    const CatalogueEntry* entry = FindInCatalogue(name);
    if (entry == nullptr) return BadData(absl::StrCat("not in the catalogue: ", name, "; see its list"));
    context.printer().Raw(std::string(entry->yaml));
    return std::nullopt;
  }
  std::vector<v1::OauthProvider> providers;
  for (const CatalogueEntry& entry : Catalogue()) {
    absl::StatusOr<v1::OauthProvider> provider = ParseOauthProviderFile(entry.yaml, entry.name);
    if (!provider.ok()) return BadData(std::string(provider.status().message()));
    provider->set_name(std::string(entry.name));
    providers.push_back(*std::move(provider));
  }
  context.PrintList(providers, {{"NAME", "name"},
                                {"DISPLAY-NAME", "display_name"},
                                {"SCOPES", "authorization.scopes"},
                                {"AUTHORIZATION-URL", "endpoints.authorization_url"}});
  return std::nullopt;
}

}  // namespace

void AddOauthProviderCommands(CommandTree& tree) {
  const Positional id = {"ID", "The provider's id, which MCP servers bind as `oauth: ID`"};
  std::vector<Option> create = OauthProviderOptions();
  create.push_back({"--register", ValueKind::kFlag, "", "Register a client at the provider (RFC 7591)"});
  create.push_back({"--registration-token-file", ValueKind::kFile, "FILE",
                    "Read the token that the provider wants for a registration from FILE"});
  create.push_back({"--dry-run", ValueKind::kFlag, "", "Check everything, discovery included, and change nothing"});
  std::vector<Option> update = OauthProviderOptions();
  update.push_back(YesOption());
  tree.groups.push_back({"oauth-provider", "Define the OAuth providers that people and processes connect to"});
  tree.commands.push_back({"oauth-provider create",
                           "Define a provider",
                           kCreateHelp,
                           {id},
                           std::move(create),
                           OauthProviderOptionsExclude(),
                           Create});
  tree.commands.push_back({"oauth-provider list", "List providers", "", {}, {}, {}, List});
  tree.commands.push_back({"oauth-provider describe",
                           "Show everything about a provider but its secrets",
                           "With -o yaml it prints a file that --file takes.",
                           {id},
                           {},
                           {},
                           Describe});
  tree.commands.push_back({"oauth-provider update",
                           "Change a provider",
                           kUpdateOauthProviderHelp,
                           {id},
                           std::move(update),
                           OauthProviderOptionsExclude(),
                           UpdateOauthProvider});
  tree.commands.push_back({"oauth-provider delete",
                           "Delete a provider and every connection to it",
                           "Says first who is affected.",
                           {id},
                           {YesOption()},
                           {},
                           Delete});
  tree.commands.push_back({"oauth-provider check",
                           "Reach a provider's endpoints and say what is wrong",
                           "Asks for no token. Exits with 1 if there is an error among the findings.",
                           {id},
                           {},
                           {},
                           Check});
  Positional name = {"NAME", "Print this definition"};
  for (const CatalogueEntry& entry : Catalogue()) name.choices.emplace_back(entry.name);
  name.optional = true;
  tree.commands.push_back(
      {"oauth-provider catalogue",
       "List the ready definitions, or print one as YAML",
       "Each names the documentation that it was written from. To change one, print it into a file:\n"
       "  keyferry oauth-provider catalogue slack > slack.yaml",
       {name},
       {},
       {},
       ShowCatalogue});
}

}  // namespace keyferry::client::cli
