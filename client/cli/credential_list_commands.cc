#include <algorithm>
#include <map>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/time/time.h"
#include "client/cli/commands.h"
#include "client/cli/context.h"
#include "client/cli/credential_scope.h"
#include "client/cli/oauth_provider_parts.h"
#include "keyferry/v1/credentials.grpc.pb.h"

namespace keyferry::client::cli {
namespace {

using Stub = v1::CredentialService::Stub;

constexpr char kFilterHelp[] =
    "Conditions narrow the list; all of them must hold. PATTERN takes `*` for any characters and `?` for one. --scope\n"
    "lists all that you may see in the organization, e.g. what nobody has used for 90 days, longest unused first:\n"
    "  keyferry credential list --scope org --scope team --unused-since 90d --sort last_use_time\n"
    "FIELD is name, create_time, update_time, last_use_time or rotate_by. STATUS is active or suspended.\n\n"
    "--mine takes --name, --source, --sort and --status, whose STATUS is then set_by_me, set_by_team, set_by_org,\n"
    "not_set or connect_needed, and may be repeated:\n"
    "  keyferry credential list --mine --status not_set --status connect_needed";

// Says with which command each variable that needs a connection gets one.
void NoteConnections(Context& context, const std::vector<v1::MyCredential>& credentials) {
  std::map<std::string, bool> absent;
  for (const v1::MyCredential& credential : credentials) {
    const std::string& provider = credential.oauth_provider();
    if (credential.status() != v1::MY_CREDENTIAL_STATUS_CONNECT_NEEDED || provider.empty()) continue;
    const auto [known, unknown] = absent.try_emplace(provider, false);
    if (unknown) {
      v1::OauthProvider ignored;
      const Outcome found = GetOauthProvider(context, provider, &ignored);
      known->second = found.has_value() && found->code == absl::StatusCode::kNotFound;
    }
    const std::string id = PrintableText(provider.substr(provider.rfind('/') + 1));
    *context.streams().error << "keyferry: note: " << PrintableText(credential.credential_id())
                             << " needs a connection: "
                             << (known->second ? absl::StrCat("the organization has no OAuth provider `", id,
                                                              "`; an ADMIN adds it with `keyferry oauth-provider "
                                                              "create`, or binds another")
                                               : absl::StrCat("run `keyferry connect ", id, "`"))
                             << "\n";
  }
}

template <typename Enum>
Enum ParseChoice(const char* prefix, const std::string& choice, bool (*parse)(const std::string&, Enum*)) {
  Enum value{};
  parse(absl::StrCat(prefix, absl::AsciiStrToUpper(choice)), &value);
  return value;
}

std::string OrderBy(const Arguments& arguments) {
  return absl::StrReplaceAll(arguments.Text("--sort"), {{":desc", " desc"}});
}

// The server speaks of the request's fields where people gave options.
Outcome InOptions(Outcome outcome) {
  if (outcome.has_value() && outcome->code == absl::StatusCode::kInvalidArgument) {
    absl::StrReplaceAll(
        {{"filter.id_pattern", "--name"}, {"id_pattern", "--name"}, {"order_by", "--sort"}, {"` desc`", "`:desc`"}},
        &outcome->line);
  }
  return outcome;
}

const std::vector<std::string>& Statuses() {
  static const auto* const kStatuses = new std::vector<std::string>{"active", "suspended"};
  return *kStatuses;
}

const std::vector<std::string>& MyStatuses() {
  static const auto* const kStatuses =
      new std::vector<std::string>{"set_by_me", "set_by_team", "set_by_org", "not_set", "connect_needed"};
  return *kStatuses;
}

// Of one list or the other; the command line takes those of both.
Outcome CheckStatuses(const Arguments& arguments, const std::string& list, const std::vector<std::string>& known) {
  for (const std::string& status : arguments.Texts("--status")) {
    if (std::find(known.begin(), known.end(), status) != known.end()) continue;
    return UsageFailure(
        absl::StrCat("not a status of ", list, ": --status ", status, "; use ", absl::StrJoin(known, ", ")));
  }
  return std::nullopt;
}

Outcome ListMine(Context& context, const Arguments& arguments) {
  for (const char* condition : {"--unused-since", "--overdue"}) {
    if (!arguments.Has(condition)) continue;
    return UsageFailure(absl::StrCat("--mine does not take ", condition, "; leave one of them out"));
  }
  KEYFERRY_RETURN_IF_FAILED(CheckStatuses(arguments, "`credential list --mine`", MyStatuses()));
  v1::ListMyCredentialsRequest request;
  KEYFERRY_RETURN_IF_FAILED(context.CallingUser(request.mutable_parent()));
  request.set_id_pattern(arguments.Text("--name"));
  for (const std::string& status : arguments.Texts("--status")) {
    request.add_statuses(
        ParseChoice<v1::MyCredentialStatus>("MY_CREDENTIAL_STATUS_", status, v1::MyCredentialStatus_Parse));
  }
  if (arguments.Has("--source")) {
    request.set_source(ParseChoice<v1::CredentialSource>("CREDENTIAL_SOURCE_", arguments.Text("--source"),
                                                         v1::CredentialSource_Parse));
  }
  request.set_order_by(OrderBy(arguments));
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
  request->set_order_by(OrderBy(arguments));
}

Outcome List(Context& context, const Arguments& arguments) {
  if (arguments.Has("--mine")) return InOptions(ListMine(context, arguments));
  KEYFERRY_RETURN_IF_FAILED(CheckStatuses(arguments, "`credential list` without --mine", Statuses()));
  if (arguments.Texts("--status").size() > 1) {
    return UsageFailure("given more than once: --status; give it once, or leave it out for both");
  }
  v1::ListCredentialsRequest request;
  KEYFERRY_RETURN_IF_FAILED(CredentialParent(context, arguments, request.mutable_parent()));
  SetConditions(context, arguments, &request);
  std::vector<v1::Credential> credentials;
  KEYFERRY_RETURN_IF_FAILED(InOptions(
      context.List(&Stub::ListCredentials, request, &v1::ListCredentialsResponse::credentials, &credentials)));
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
  Option status = {"--status", ValueKind::kText, "STATUS", "Only this status", Statuses()};
  status.choices.insert(status.choices.end(), MyStatuses().begin(), MyStatuses().end());
  status.repeated = true;
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
        status,
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
