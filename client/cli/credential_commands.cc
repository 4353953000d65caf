#include <algorithm>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "client/cli/commands.h"
#include "client/cli/context.h"
#include "client/cli/credential_name.h"
#include "client/cli/credential_scope.h"
#include "client/cli/held_warning.h"
#include "client/cli/value_input.h"
#include "client/secret_text.h"
#include "keyferry/v1/credentials.grpc.pb.h"
#include "keyferry/v1/processes.grpc.pb.h"

namespace keyferry::client::cli {
namespace {

using Stub = v1::CredentialService::Stub;

constexpr char kValueRule[] =
    "The value is standard input, byte for byte, less one trailing newline:\n"
    "  printf %s \"$VALUE\" | keyferry credential create GITHUB_TOKEN\n"
    "On a terminal it is asked for twice and not shown.";

}  // namespace

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

namespace {

void SetTime(absl::Time time, google::protobuf::Timestamp* timestamp) {
  timestamp->set_seconds(absl::ToUnixSeconds(time));
}

// An empty one, as of a shell's variable that is not set, would stand for no condition at all.
Outcome GivenEtag(const Arguments& arguments, std::string* etag) {
  *etag = arguments.Text("--etag");
  if (!arguments.Has("--etag") || !etag->empty()) return std::nullopt;
  return UsageFailure("--etag: must not be empty; take it from `keyferry credential describe NAME -o json`");
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

// Says how many processes still run with the version before, and how to follow them.
void NoteRollout(Context& context, const Arguments& arguments, const std::string& name) {
  v1::GetCredentialRolloutRequest request;
  request.set_name(name);
  v1::CredentialRollout rollout;
  // The rotation is done, whatever this answers.
  if (context.Call(Idempotent::kYes, &v1::ProcessService::Stub::GetCredentialRollout, request, &rollout)) return;
  if (rollout.outdated_count() == 0) return;
  std::string scope = arguments.Has("--me") ? " --me" : "";
  if (arguments.Has("--team")) scope = " --team " + arguments.Text("--team");
  *context.streams().error << "note: " << rollout.outdated_count()
                           << (rollout.outdated_count() == 1 ? " process is" : " processes are")
                           << " still on an older version; follow with `keyferry credential rollout "
                           << arguments.Text("NAME") << scope << " --watch`\n";
}

// A reminder that the rotation has answered goes on reminding unless it is moved.
void NotePassedReminder(Context& context, const v1::Credential& credential) {
  if (!credential.rotation_overdue()) return;
  const absl::Time date = absl::FromUnixSeconds(credential.rotate_by().seconds());
  *context.streams().error << "note: its rotate-by date has passed: "
                           << absl::FormatTime("%Y-%m-%d", date, absl::UTCTimeZone())
                           << "; set the next one with --rotate-by DATE, or none, of `keyferry credential rotate` or "
                              "`keyferry credential update`\n";
}

Outcome Rotate(Context& context, const Arguments& arguments) {
  v1::RotateCredentialRequest request;
  KEYFERRY_RETURN_IF_FAILED(CredentialName(context, arguments, request.mutable_name()));
  KEYFERRY_RETURN_IF_FAILED(GivenEtag(arguments, request.mutable_etag()));
  if (arguments.Text("--rotate-by") == "none") {
    request.set_remove_rotate_by(true);
  } else if (arguments.Has("--rotate-by")) {
    SetTime(arguments.Time("--rotate-by"), request.mutable_rotate_by());
  }
  if (arguments.Has("--grace")) {
    request.mutable_grace()->set_seconds(absl::ToInt64Seconds(arguments.Duration("--grace")));
  }
  NoteHolders(context, request.name());
  SecretText value;
  KEYFERRY_RETURN_IF_FAILED(ReadValue(context.streams(), arguments.Text("--from-file"), &value));
  v1::Credential credential;
  KEYFERRY_RETURN_IF_FAILED(WithValue(
      value, &request, [&] { return context.Call(Idempotent::kNo, &Stub::RotateCredential, request, &credential); }));
  context.printer().Message(credential);
  NoteRollout(context, arguments, request.name());
  NotePassedReminder(context, credential);
  return std::nullopt;
}

Outcome Rollback(Context& context, const Arguments& arguments) {
  v1::RollbackCredentialRequest request;
  KEYFERRY_RETURN_IF_FAILED(CredentialName(context, arguments, request.mutable_name()));
  KEYFERRY_RETURN_IF_FAILED(GivenEtag(arguments, request.mutable_etag()));
  NoteHolders(context, request.name());
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
  KEYFERRY_RETURN_IF_FAILED(GivenEtag(arguments, request.mutable_credential()->mutable_etag()));
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
  // Sent a second time after it was done, its etag would be stale.
  const Idempotent idempotent = arguments.Has("--etag") ? Idempotent::kNo : Idempotent::kYes;
  v1::Credential credential;
  KEYFERRY_RETURN_IF_FAILED(context.Call(idempotent, &Stub::UpdateCredential, request, &credential));
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

Outcome Delete(Context& context, const Arguments& arguments) {
  v1::DeleteCredentialRequest request;
  KEYFERRY_RETURN_IF_FAILED(CredentialName(context, arguments, request.mutable_name()));
  KEYFERRY_RETURN_IF_FAILED(GivenEtag(arguments, request.mutable_etag()));
  if (context.streams().input_is_terminal && !arguments.Has("--yes")) {
    v1::Credential credential;
    KEYFERRY_RETURN_IF_FAILED(Get(context, request.name(), &credential));
    if (!arguments.Has("--etag")) request.set_etag(credential.etag());
    WarnOfHolders(context, request.name());
  } else if (arguments.Has("--yes")) {
    NoteHolders(context, request.name());
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
  const Option etag = {"--etag", ValueKind::kText, "ETAG", "Only if it has not changed since `describe` showed ETAG"};
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
                           {team, me, grace, rotate_by, etag, from_file},
                           scopes,
                           Rotate});
  tree.commands.push_back({"credential rollback",
                           "Make the kept previous version the newest one again",
                           "Works as long as the grace of the last rotation lasts.",
                           {name},
                           {team, me, etag},
                           scopes,
                           Rollback});
  tree.commands.push_back({"credential update",
                           "Change the description or the reminder",
                           "The value is changed by `keyferry credential rotate`.",
                           {name},
                           {team, me, description, rotate_by, etag},
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
      {"credential delete", "Delete a credential for good", "", {name}, {team, me, etag, YesOption()}, scopes, Delete});
  AddCredentialListCommands(tree);
  AddCredentialFileCommands(tree);
}

}  // namespace keyferry::client::cli
