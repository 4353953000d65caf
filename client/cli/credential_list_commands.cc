#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/time.h"
#include "client/cli/commands.h"
#include "client/cli/context.h"
#include "client/cli/credential_scope.h"
#include "keyferry/v1/credentials.grpc.pb.h"

namespace keyferry::client::cli {
namespace {

using Stub = v1::CredentialService::Stub;

constexpr char kFilterHelp[] =
    "Conditions narrow the list; all of them must hold. PATTERN takes `*` for any characters and `?` for one. --scope\n"
    "lists all that you may see in the organization, e.g. what nobody has used for 90 days, longest unused first:\n"
    "  keyferry credential list --scope org --scope team --unused-since 90d --sort last_use_time\n"
    "FIELD is name, create_time, update_time, last_use_time or rotate_by.";

// Says with which command each variable that needs a connection gets one.
void NoteConnections(const Context& context, const std::vector<v1::MyCredential>& credentials) {
  for (const v1::MyCredential& credential : credentials) {
    if (credential.status() != v1::MY_CREDENTIAL_STATUS_CONNECT_NEEDED || credential.oauth_provider().empty()) continue;
    const std::string& provider = credential.oauth_provider();
    *context.streams().error << "keyferry: note: " << PrintableText(credential.credential_id())
                             << " needs a connection: run `keyferry connect "
                             << PrintableText(provider.substr(provider.rfind('/') + 1)) << "`\n";
  }
}

Outcome ListMine(Context& context) {
  v1::ListMyCredentialsRequest request;
  KEYFERRY_RETURN_IF_FAILED(context.CallingUser(request.mutable_parent()));
  std::vector<v1::MyCredential> credentials;
  KEYFERRY_RETURN_IF_FAILED(
      context.List(&Stub::ListMyCredentials, request, &v1::ListMyCredentialsResponse::my_credentials, &credentials));
  context.PrintList(credentials, {{"NAME", "credential_id"},
                                  {"STATUS", "status"},
                                  {"VERSION", "credential.version"},
                                  {"UPDATED", "credential.update_time"},
                                  {"LAST-USED", "credential.last_use_time"}});
  NoteConnections(context, credentials);
  return std::nullopt;
}

template <typename Enum>
Enum ParseChoice(const char* prefix, const std::string& choice, bool (*parse)(const std::string&, Enum*)) {
  Enum value{};
  parse(absl::StrCat(prefix, absl::AsciiStrToUpper(choice)), &value);
  return value;
}

// Conditions and order as the options give them.
void SetConditions(const Context& context, const Arguments& arguments, v1::ListCredentialsRequest* request) {
  v1::CredentialFilter* filter = request->mutable_filter();
  for (const std::string& scope : arguments.Texts("--scope")) {
    filter->add_scopes(ParseChoice<v1::CredentialScope>("CREDENTIAL_SCOPE_", scope, v1::CredentialScope_Parse));
  }
  filter->set_id_pattern(arguments.Text("--name"));
  if (arguments.Has("--status")) {
    filter->set_status(ParseChoice<v1::CredentialStatus>("CREDENTIAL_STATUS_", arguments.Text("--status"),
                                                         v1::CredentialStatus_Parse));
  }
  if (arguments.Has("--source")) {
    filter->set_source(ParseChoice<v1::CredentialSource>("CREDENTIAL_SOURCE_", arguments.Text("--source"),
                                                         v1::CredentialSource_Parse));
  }
  if (arguments.Has("--unused-since")) {
    absl::Time since;
    ParsePastTimeText(arguments.Text("--unused-since"), context.streams().now(), &since);
    filter->mutable_unused_since()->set_seconds(absl::ToUnixSeconds(since));
  }
  filter->set_rotation_overdue(arguments.Has("--overdue"));
  if (filter->ByteSizeLong() == 0) request->clear_filter();
  std::string order = arguments.Text("--sort");
  request->set_order_by(absl::StrReplaceAll(order, {{":desc", " desc"}}));
}

Outcome List(Context& context, const Arguments& arguments) {
  static const char* const kConditions[] = {"--scope",        "--name",    "--status", "--source",
                                            "--unused-since", "--overdue", "--sort"};
  if (arguments.Has("--mine")) {
    for (const char* condition : kConditions) {
      if (!arguments.Has(condition)) continue;
      return UsageFailure(absl::StrCat("--mine takes no conditions: ", condition, "; leave one of them out"));
    }
    return ListMine(context);
  }
  v1::ListCredentialsRequest request;
  KEYFERRY_RETURN_IF_FAILED(CredentialParent(context, arguments, request.mutable_parent()));
  SetConditions(context, arguments, &request);
  std::vector<v1::Credential> credentials;
  KEYFERRY_RETURN_IF_FAILED(
      context.List(&Stub::ListCredentials, request, &v1::ListCredentialsResponse::credentials, &credentials));
  // Names of several parents need the parent to tell them apart.
  context.PrintList(credentials, {{"NAME", "name", /*last_segment=*/!arguments.Has("--scope")},
                                  {"SCOPE", "scope"},
                                  {"STATUS", "status"},
                                  {"VERSION", "version"},
                                  {"UPDATED", "update_time"},
                                  {"LAST-USED", "last_use_time"},
                                  {"ROTATE-BY", "rotate_by"},
                                  {"OVERDUE", "rotation_overdue"}});
  return std::nullopt;
}

Outcome Export(Context& context, const Arguments& arguments) {
  v1::ListCredentialsRequest request;
  KEYFERRY_RETURN_IF_FAILED(CredentialParent(context, arguments, request.mutable_parent()));
  const std::vector<std::string> scopes = arguments.Texts("--scope");
  const bool one_parent = arguments.Has("--team") || arguments.Has("--me");
  for (const std::string& scope : scopes) {
    request.mutable_filter()->add_scopes(
        ParseChoice<v1::CredentialScope>("CREDENTIAL_SCOPE_", scope, v1::CredentialScope_Parse));
  }
  if (!one_parent && scopes.empty()) {
    for (const auto scope : {v1::CREDENTIAL_SCOPE_ORG, v1::CREDENTIAL_SCOPE_TEAM, v1::CREDENTIAL_SCOPE_USER}) {
      request.mutable_filter()->add_scopes(scope);
    }
  }
  std::vector<v1::Credential> credentials;
  KEYFERRY_RETURN_IF_FAILED(
      context.List(&Stub::ListCredentials, request, &v1::ListCredentialsResponse::credentials, &credentials));
  std::vector<const google::protobuf::Message*> messages;
  for (const v1::Credential& credential : credentials) messages.push_back(&credential);
  // An export is for programs; a table would leave most of it out.
  const bool table = context.printer().format() == OutputFormat::kTable;
  const Printer printer(table ? OutputFormat::kYaml : context.printer().format(), /*human_times=*/false,
                        context.streams().now(), *context.streams().output);
  printer.List(messages, {});
  return std::nullopt;
}

Option ScopeOption() {
  Option scope = {"--scope",
                  ValueKind::kText,
                  "SCOPE",
                  "All that you may see of this scope in the organization; may be repeated",
                  {"org", "team", "user"}};
  scope.repeated = true;
  return scope;
}

}  // namespace

void AddCredentialListCommands(CommandTree& tree) {
  const Option team = {"--team", ValueKind::kText, "ID", "The team's credentials (default: the organization's)"};
  const Option me = {"--me", ValueKind::kFlag, "", "Your own credentials"};
  tree.commands.push_back(
      {"credential list",
       "List credentials",
       kFilterHelp,
       {},
       {team,
        me,
        {"--mine", ValueKind::kFlag, "",
         "Every name that you can see, and whether you, your team or the organization set it"},
        ScopeOption(),
        {"--name", ValueKind::kText, "PATTERN", "Only names that match"},
        {"--status", ValueKind::kText, "STATUS", "Only this status", {"active", "suspended"}},
        {"--source", ValueKind::kText, "SOURCE", "Only this source", {"manual", "oauth"}},
        {"--unused-since", ValueKind::kPastTime, "WHEN",
         "Only what nobody has used since a date, or for a time as 90d"},
        {"--overdue", ValueKind::kFlag, "", "Only what should have been rotated by now"},
        {"--sort", ValueKind::kText, "FIELD[:desc]", "Order; several fields are separated by commas"}},
       {{"--team", "--me", "--mine", "--scope"}},
       List});
  tree.commands.push_back(
      {"credential export",
       "Write names, descriptions, versions and dates, never a value",
       "Everything that you may see in the organization, unless options narrow it; YAML, or JSON with `-o json`.",
       {},
       {team, me, ScopeOption()},
       {{"--team", "--me", "--scope"}},
       Export});
}

}  // namespace keyferry::client::cli
