#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "client/cli/commands.h"
#include "client/cli/context.h"
#include "client/cli/credential_scope.h"
#include "client/cli/value_input.h"
#include "client/secret_text.h"
#include "keyferry/v1/credentials.grpc.pb.h"
#include "keyferry/v1/directory.grpc.pb.h"
#include "keyferry/v1/mcp_servers.grpc.pb.h"

namespace keyferry::client::cli {
namespace {

using Stub = v1::CredentialService::Stub;

constexpr char kValueRule[] =
    "The value is standard input, byte for byte, less one trailing newline:\n"
    "  printf %s \"$VALUE\" | keyferry credential create GITHUB_TOKEN\n"
    "On a terminal it is asked for twice and not shown.";

Outcome CredentialName(Context& context, const Arguments& arguments, std::string* name) {
  const std::string& id = arguments.Text("NAME");
  if (absl::StartsWith(id, "orgs/")) {
    *name = id;
    return std::nullopt;
  }
  if (id.empty() || absl::StrContains(id, "/")) {
    return BadData(absl::StrCat("not a credential's name: ", id.empty() ? "(empty)" : id,
                                "; give an environment variable's name or a full resource name"));
  }
  std::string parent;
  KEYFERRY_RETURN_IF_FAILED(CredentialParent(context, arguments, &parent));
  *name = absl::StrCat(parent, "/credentials/", id);
  return std::nullopt;
}

void SetTime(absl::Time time, google::protobuf::Timestamp* timestamp) {
  timestamp->set_seconds(absl::ToUnixSeconds(time));
}

// Puts a value into a request for as long as `call` runs.
template <typename Request, typename Call>
Outcome WithValue(const SecretText& value, Request* request, Call call) {
  request->mutable_value()->assign(value.Expose().data(), value.size());
  Outcome outcome = call();
  WipeString(*request->mutable_value());
  return outcome;
}

Outcome Create(Context& context, const Arguments& arguments) {
  v1::CreateCredentialRequest request;
  std::string name;
  // A wrong name is noticed before anybody types a value.
  KEYFERRY_RETURN_IF_FAILED(CredentialName(context, arguments, &name));
  const size_t end = name.rfind("/credentials/");
  if (end == std::string::npos) {
    return BadData(absl::StrCat("not a credential's resource name: ", name, "; it ends in /credentials/NAME"));
  }
  request.set_parent(name.substr(0, end));
  request.set_credential_id(name.substr(end + sizeof("/credentials/") - 1));
  request.mutable_credential()->set_description(arguments.Text("--description"));
  if (arguments.Has("--rotate-by") && arguments.Text("--rotate-by") != "none") {
    SetTime(arguments.Time("--rotate-by"), request.mutable_credential()->mutable_rotate_by());
  }
  SecretText value;
  KEYFERRY_RETURN_IF_FAILED(ReadValue(context.streams(), arguments.Text("--from-file"), &value));
  v1::Credential credential;
  KEYFERRY_RETURN_IF_FAILED(WithValue(
      value, &request, [&] { return context.Call(Idempotent::kNo, &Stub::CreateCredential, request, &credential); }));
  context.printer().Message(credential);
  return std::nullopt;
}

Outcome Rotate(Context& context, const Arguments& arguments) {
  v1::RotateCredentialRequest request;
  KEYFERRY_RETURN_IF_FAILED(CredentialName(context, arguments, request.mutable_name()));
  if (arguments.Has("--grace")) {
    request.mutable_grace()->set_seconds(absl::ToInt64Seconds(arguments.Duration("--grace")));
  }
  SecretText value;
  KEYFERRY_RETURN_IF_FAILED(ReadValue(context.streams(), arguments.Text("--from-file"), &value));
  v1::Credential credential;
  KEYFERRY_RETURN_IF_FAILED(WithValue(
      value, &request, [&] { return context.Call(Idempotent::kNo, &Stub::RotateCredential, request, &credential); }));
  context.printer().Message(credential);
  return std::nullopt;
}

Outcome Rollback(Context& context, const Arguments& arguments) {
  v1::RollbackCredentialRequest request;
  KEYFERRY_RETURN_IF_FAILED(CredentialName(context, arguments, request.mutable_name()));
  v1::Credential credential;
  KEYFERRY_RETURN_IF_FAILED(context.Call(Idempotent::kNo, &Stub::RollbackCredential, request, &credential));
  context.printer().Message(credential);
  return std::nullopt;
}

Outcome Update(Context& context, const Arguments& arguments) {
  v1::UpdateCredentialRequest request;
  if (!arguments.Has("--description") && !arguments.Has("--rotate-by")) {
    return UsageFailure("nothing to update: keyferry credential update; give --description or --rotate-by");
  }
  KEYFERRY_RETURN_IF_FAILED(CredentialName(context, arguments, request.mutable_credential()->mutable_name()));
  if (arguments.Has("--description")) {
    request.mutable_credential()->set_description(arguments.Text("--description"));
    request.mutable_update_mask()->add_paths("description");
  }
  if (arguments.Has("--rotate-by")) {
    request.mutable_update_mask()->add_paths("rotate_by");
    if (arguments.Text("--rotate-by") != "none") {
      SetTime(arguments.Time("--rotate-by"), request.mutable_credential()->mutable_rotate_by());
    }
  }
  v1::Credential credential;
  KEYFERRY_RETURN_IF_FAILED(context.Call(Idempotent::kYes, &Stub::UpdateCredential, request, &credential));
  context.printer().Message(credential);
  return std::nullopt;
}

Outcome Get(Context& context, const std::string& name, v1::Credential* credential) {
  v1::GetCredentialRequest request;
  request.set_name(name);
  return context.Call(Idempotent::kYes, &Stub::GetCredential, request, credential);
}

Outcome Describe(Context& context, const Arguments& arguments) {
  std::string name;
  KEYFERRY_RETURN_IF_FAILED(CredentialName(context, arguments, &name));
  v1::Credential credential;
  KEYFERRY_RETURN_IF_FAILED(Get(context, name, &credential));
  context.printer().Message(credential);
  return std::nullopt;
}

bool Binds(const v1::McpServer& server, const std::string& id) {
  for (const v1::EnvBinding& binding : server.env()) {
    if (binding.org_secret() == id || binding.team_secret() == id || binding.user_secret() == id) return true;
  }
  return false;
}

// The MCP servers that the caller can see and that bind a credential's name.
Outcome WhoBinds(Context& context, const std::string& id, std::vector<std::string>* names) {
  std::string org;
  KEYFERRY_RETURN_IF_FAILED(context.Org(&org));
  std::vector<std::string> parents = {org};
  v1::ListTeamsRequest teams_request;
  teams_request.set_parent(org);
  std::vector<v1::Team> teams;
  KEYFERRY_RETURN_IF_FAILED(
      context.List(&v1::DirectoryService::Stub::ListTeams, teams_request, &v1::ListTeamsResponse::teams, &teams));
  for (const v1::Team& team : teams) parents.push_back(team.name());
  for (const std::string& parent : parents) {
    v1::ListMcpServersRequest request;
    request.set_parent(parent);
    std::vector<v1::McpServer> servers;
    // A team whose MCP servers the caller may not list has none to warn of.
    if (context.List(&v1::McpServerService::Stub::ListMcpServers, request, &v1::ListMcpServersResponse::mcp_servers,
                     &servers)) {
      continue;
    }
    for (const v1::McpServer& server : servers) {
      if (Binds(server, id)) names->push_back(server.name());
    }
  }
  return std::nullopt;
}

Outcome Delete(Context& context, const Arguments& arguments) {
  v1::DeleteCredentialRequest request;
  KEYFERRY_RETURN_IF_FAILED(CredentialName(context, arguments, request.mutable_name()));
  if (context.streams().input_is_terminal && !arguments.Has("--yes")) {
    v1::Credential credential;
    KEYFERRY_RETURN_IF_FAILED(Get(context, request.name(), &credential));
    request.set_etag(credential.etag());
    std::vector<std::string> names;
    const std::string id = request.name().substr(request.name().rfind('/') + 1);
    if (!WhoBinds(context, id, &names).has_value() && !names.empty()) {
      *context.streams().error << "These MCP servers bind " << id << ": " << absl::StrJoin(names, ", ") << "\n";
    }
  }
  KEYFERRY_RETURN_IF_FAILED(context.Confirm(
      absl::StrCat("Delete ", request.name(), " and every version of its value for good?"), arguments.Has("--yes")));
  google::protobuf::Empty empty;
  KEYFERRY_RETURN_IF_FAILED(context.Call(Idempotent::kNo, &Stub::DeleteCredential, request, &empty));
  context.printer().Done("deleted", request.name(), absl::StrCat("Deleted ", request.name()));
  return std::nullopt;
}

}  // namespace

void AddCredentialCommands(CommandTree& tree) {
  const Positional name = {"NAME", "The environment variable's name, or a full resource name"};
  const Option team = CredentialTeamOption();
  const Option me = CredentialMeOption();
  const Option from_file = {"--from-file", ValueKind::kFile, "FILE", "Read the value from FILE (- is standard input)"};
  const Option description = {"--description", ValueKind::kText, "TEXT", "What it is for; never a secret"};
  const Option rotate_by = {"--rotate-by", ValueKind::kTime, "DATE", "Remind to rotate it by DATE, or `none`"};
  const Option grace = GraceOption();
  const std::vector<std::vector<std::string>> scopes = {{"--team", "--me"}};
  tree.groups.push_back({"credential", "Store, rotate and delete credentials"});
  tree.commands.push_back({"credential create",
                           "Store a new credential",
                           kValueRule,
                           {name},
                           {team, me, description, rotate_by, from_file},
                           scopes,
                           Create});
  tree.commands.push_back({"credential rotate",
                           "Store a new value; processes that depend on it move over",
                           kValueRule,
                           {name},
                           {team, me, grace, from_file},
                           scopes,
                           Rotate});
  tree.commands.push_back({"credential rollback",
                           "Make the kept previous version the newest one again",
                           "Works as long as the grace of the last rotation lasts.",
                           {name},
                           {team, me},
                           scopes,
                           Rollback});
  tree.commands.push_back({"credential update",
                           "Change the description or the reminder",
                           "The value is changed by `keyferry credential rotate`.",
                           {name},
                           {team, me, description, rotate_by},
                           scopes,
                           Update});
  tree.commands.push_back({"credential describe",
                           "Show everything about a credential but its value",
                           "",
                           {name},
                           {team, me},
                           scopes,
                           Describe});
  tree.commands.push_back(
      {"credential delete", "Delete a credential for good", "", {name}, {team, me, YesOption()}, scopes, Delete});
  AddCredentialListCommands(tree);
  AddCredentialFileCommands(tree);
}

}  // namespace keyferry::client::cli
