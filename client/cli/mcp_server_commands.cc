#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <ostream>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "client/cli/commands.h"
#include "client/cli/context.h"
#include "client/cli/mcp_server_name.h"
#include "client/cli/value_input.h"
#include "client/mcp_server_file.h"
#include "client/secret_text.h"
#include "keyferry/v1/mcp_servers.grpc.pb.h"
#include "keyferry/v1/resolution.grpc.pb.h"

namespace keyferry::client::cli {
namespace {

using Stub = v1::McpServerService::Stub;

constexpr size_t kMaxFile = 4 * 1024 * 1024;

constexpr char kFileHelp[] =
    "FILE is YAML, one MCP server in each document:\n"
    "  id: github            # team: eng   for a team's\n"
    "  transport: STDIO\n"
    "  command: npx\n"
    "  args: [\"-y\", \"@modelcontextprotocol/server-github\"]\n"
    "  env:\n"
    "    - {name: GITHUB_TOKEN, orgSecret: GITHUB_TOKEN}\n"
    "    - {name: API_AUTH, userSecret: API_KEY, template: \"Bearer {value}\", required: false}\n"
    "    - {name: LOG_LEVEL, static: info}\n"
    "A source is one of static, orgSecret, teamSecret, userSecret, oauth; `overridable: false` pins it to its scope.\n"
    "All files are read before anything is applied.";

Outcome ReadDocuments(const Context& context, const std::string& file, std::vector<McpServerDocument>* documents) {
  const bool standard_input = file == "-";
  const std::string where = standard_input ? "standard input" : file;
  const int fd = standard_input ? context.streams().input : open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return BadData(absl::StrCat("cannot open (", strerror(errno), "): ", file, "; check the file's name"));
  SecretText text;
  Outcome outcome = ReadAll(fd, kMaxFile, where, &text);
  if (!standard_input) close(fd);
  KEYFERRY_RETURN_IF_FAILED(std::move(outcome));
  if (text.size() > kMaxFile) return BadData(absl::StrCat("longer than 4 MiB: ", where, "; split it"));
  absl::StatusOr<std::vector<McpServerDocument>> parsed = ParseMcpServerFile(text.Expose(), where);
  if (!parsed.ok()) return BadData(absl::StrCat(parsed.status().message(), "; nothing was applied"));
  for (McpServerDocument& document : *parsed) documents->push_back(std::move(document));
  return std::nullopt;
}

// Names of credentials, and ids of OAuth providers that are listed as `oauthProviders/{provider}`.
struct MissingNames {
  std::vector<std::string> credentials;
  std::vector<std::string> providers;

  void Add(const std::string& name) {
    const absl::string_view provider = absl::StripPrefix(name, "oauthProviders/");
    (provider.size() == name.size() ? credentials : providers).emplace_back(provider);
  }
};

// Whether the MCP server takes no connection to the provider but the organization's.
bool IsPinned(const v1::McpServer& server, const std::string& provider) {
  return std::any_of(server.env().begin(), server.env().end(), [&](const v1::EnvBinding& binding) {
    return binding.oauth() == provider && binding.not_overridable();
  });
}

// Whether nothing but a team's credential of that name may answer.
bool IsTeams(const v1::McpServer& server, const std::string& credential) {
  return std::any_of(server.env().begin(), server.env().end(), [&](const v1::EnvBinding& binding) {
    return binding.team_secret() == credential && binding.not_overridable();
  });
}

// What is missing whoever launches, then what single users lack, each with what to do about it.
void NoteMissing(const Context& context, const v1::McpServer& server, const v1::ApplyMcpServerResponse& response) {
  std::ostream& error = *context.streams().error;
  const std::string note = absl::StrCat("keyferry: note: ", response.mcp_server().name());
  MissingNames missing;
  std::set<std::string> noted;
  for (const std::string& name : response.missing_credentials()) {
    missing.Add(name);
    noted.insert(name);
  }
  if (!missing.credentials.empty()) {
    error << note << " binds credentials that are not stored yet: " << absl::StrJoin(missing.credentials, ", ")
          << "; store each with `keyferry credential create NAME`, a team's with --team\n";
  }
  for (const std::string& provider : missing.providers) {
    if (IsPinned(server, provider)) {
      error << note << " takes the organization's own connection to " << provider
            << " alone, and there is none; an ADMIN makes it with `keyferry connect " << provider << " --org-wide`\n";
    } else {
      error << note << " binds the OAuth provider " << provider
            << ", which the organization does not have; an ADMIN adds it with `keyferry oauth-provider create "
            << provider << "`\n";
    }
  }
  for (const v1::MissingFor& one : response.missing_for()) {
    const std::string user = one.user().substr(one.user().rfind('/') + 1);
    MissingNames own;
    for (const std::string& name : one.credentials()) {
      if (noted.count(name) == 0) own.Add(name);
    }
    error << note << " lacks for " << user << ": " << absl::StrJoin(one.credentials(), ", ");
    for (const std::string& name : own.credentials) {
      if (IsTeams(server, name)) {
        error << "; a team sets it with `keyferry credential create " << name << " --team TEAM`";
      } else {
        error << "; " << user << " sets it with `keyferry credential create " << name << " --me`";
      }
    }
    for (const std::string& provider : own.providers) {
      error << "; " << user << " connects with `keyferry connect " << provider << "`";
    }
    error << "\n";
  }
}

Outcome Apply(Context& context, const Arguments& arguments) {
  std::vector<McpServerDocument> documents;
  for (const std::string& file : arguments.Texts("--file")) {
    KEYFERRY_RETURN_IF_FAILED(ReadDocuments(context, file, &documents));
  }
  std::vector<v1::ApplyMcpServerRequest> requests;
  for (McpServerDocument& document : documents) {
    v1::ApplyMcpServerRequest& request = requests.emplace_back();
    *request.mutable_mcp_server() = std::move(document.server);
    request.set_validate_only(arguments.Has("--dry-run"));
    KEYFERRY_RETURN_IF_FAILED(
        McpServerName(context, document.id, document.team, request.mutable_mcp_server()->mutable_name()));
  }
  std::vector<v1::ApplyMcpServerResponse> responses;
  for (const v1::ApplyMcpServerRequest& request : requests) {
    v1::ApplyMcpServerResponse response;
    Outcome outcome = context.Call(Idempotent::kYes, &Stub::ApplyMcpServer, request, &response);
    if (outcome.has_value()) {
      if (!responses.empty()) context.PrintList(responses, {{"APPLIED", "mcp_server.name"}});
      return outcome;
    }
    NoteMissing(context, request.mcp_server(), response);
    responses.push_back(std::move(response));
  }
  context.PrintList(responses, {{"NAME", "mcp_server.name"},
                                {"TRANSPORT", "mcp_server.transport"},
                                {"CREATED", "created"},
                                {"MISSING-CREDENTIALS", "missing_credentials"}});
  return std::nullopt;
}

Outcome List(Context& context, const Arguments& arguments) {
  v1::ListMcpServersRequest request;
  if (arguments.Has("--team")) {
    KEYFERRY_RETURN_IF_FAILED(context.ResourceName("teams", arguments.Text("--team"), request.mutable_parent()));
  } else {
    KEYFERRY_RETURN_IF_FAILED(context.Org(request.mutable_parent()));
  }
  std::vector<v1::McpServer> servers;
  KEYFERRY_RETURN_IF_FAILED(
      context.List(&Stub::ListMcpServers, request, &v1::ListMcpServersResponse::mcp_servers, &servers));
  context.PrintList(servers, {{"ID", "name", true},
                              {"TRANSPORT", "transport"},
                              {"COMMAND", "command"},
                              {"UPDATED", "update_time"},
                              {"UPDATER", "updater", true}});
  return std::nullopt;
}

Outcome Get(Context& context, const Arguments& arguments) {
  v1::GetMcpServerRequest request;
  KEYFERRY_RETURN_IF_FAILED(
      McpServerName(context, arguments.Text("ID"), arguments.Text("--team"), request.mutable_name()));
  v1::McpServer server;
  KEYFERRY_RETURN_IF_FAILED(context.Call(Idempotent::kYes, &Stub::GetMcpServer, request, &server));
  context.printer().Message(server);
  return std::nullopt;
}

Outcome Delete(Context& context, const Arguments& arguments) {
  v1::DeleteMcpServerRequest request;
  KEYFERRY_RETURN_IF_FAILED(
      McpServerName(context, arguments.Text("ID"), arguments.Text("--team"), request.mutable_name()));
  KEYFERRY_RETURN_IF_FAILED(context.Confirm(absl::StrCat("Delete ", request.name(), "?"), arguments.Has("--yes")));
  google::protobuf::Empty empty;
  KEYFERRY_RETURN_IF_FAILED(context.Call(Idempotent::kNo, &Stub::DeleteMcpServer, request, &empty));
  context.printer().Done("deleted", request.name(), absl::StrCat("Deleted ", request.name()));
  return std::nullopt;
}

// A table of one line for each scope that was tried.
void PrintExplanation(const Context& context, const v1::ExplainResponse& response) {
  if (context.printer().format() != OutputFormat::kTable) return context.printer().Message(response);
  for (const v1::VariableExplanation& variable : response.variables()) {
    context.printer().Raw(
        absl::StrCat(variable.variable(), variable.required() ? "" : " (optional)", ": ", variable.summary(), "\n"));
    std::vector<v1::ResolutionStep> steps(variable.steps().begin(), variable.steps().end());
    if (steps.empty()) continue;
    context.PrintList(steps, {{"SCOPE", "scope"},
                              {"OUTCOME", "outcome"},
                              {"VERSION", "version"},
                              {"UPDATED", "update_time"},
                              {"UPDATER", "updater", true},
                              {"CREDENTIAL", "credential"}});
  }
  if (response.resolvable()) return context.printer().Raw("A launch would get every required variable.\n");
  std::vector<std::string> reasons;
  for (const v1::VariableExplanation& variable : response.variables()) {
    // One that may not be set at all has no steps.
    const bool refused = variable.steps().empty();
    if (!variable.resolved() && (variable.required() || refused)) reasons.push_back(variable.variable());
  }
  context.printer().Raw(
      absl::StrCat("A launch would fail because of ", absl::StrJoin(reasons, ", "), "; see above why.\n"));
}

Outcome Explain(Context& context, const Arguments& arguments) {
  v1::ExplainRequest request;
  KEYFERRY_RETURN_IF_FAILED(
      McpServerName(context, arguments.Text("MCP_SERVER"), /*team=*/"", request.mutable_mcp_server()));
  if (arguments.Has("--team")) {
    KEYFERRY_RETURN_IF_FAILED(context.ResourceName("teams", arguments.Text("--team"), request.mutable_team()));
  }
  if (arguments.Has("--user")) {
    KEYFERRY_RETURN_IF_FAILED(context.ResourceName("users", arguments.Text("--user"), request.mutable_user()));
  }
  v1::ExplainResponse response;
  KEYFERRY_RETURN_IF_FAILED(context.Call(Idempotent::kYes, &v1::ResolutionService::Stub::Explain, request, &response));
  PrintExplanation(context, response);
  return std::nullopt;
}

}  // namespace

void AddMcpServerCommands(CommandTree& tree) {
  const Positional id = {"ID", "ID, TEAM/ID or a full resource name"};
  const Option team = {"--team", ValueKind::kText, "ID", "The team's (default: the organization's)"};
  tree.groups.push_back({"mcp-server", "Define MCP servers and what their environment binds"});
  Option file = {"-f,--file", ValueKind::kFile, "FILE", "File to apply (- is standard input); may be repeated"};
  file.required = true;
  file.repeated = true;
  tree.commands.push_back({"mcp-server apply",
                           "Create or replace MCP servers from a file",
                           kFileHelp,
                           {},
                           {file, {"--dry-run", ValueKind::kFlag, "", "Check everything and change nothing"}},
                           {},
                           Apply});
  tree.commands.push_back({"mcp-server list", "List MCP servers", "", {}, {team}, {}, List});
  tree.commands.push_back(
      {"mcp-server get", "Show one MCP server; static values are left out", "", {id}, {team}, {}, Get});
  tree.commands.push_back({"mcp-server delete", "Delete an MCP server", "", {id}, {team, YesOption()}, {}, Delete});
  tree.commands.push_back({"explain",
                           "Say why each variable of an MCP server resolves as it does",
                           "Shows every scope that is tried and what is found there, never a value.",
                           {{"MCP_SERVER", "ID, TEAM/ID or a full resource name"}},
                           {{"--user", ValueKind::kText, "ID", "For this user instead of yourself"},
                            {"--team", ValueKind::kText, "ID",
                             "The team whose credentials may answer for an MCP server of the organization"}},
                           {},
                           Explain});
}

}  // namespace keyferry::client::cli
