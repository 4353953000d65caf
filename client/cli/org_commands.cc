#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/context.h"
#include "keyferry/v1/directory.grpc.pb.h"

namespace keyferry::client::cli {
namespace {

using Stub = v1::DirectoryService::Stub;

Outcome Get(Context& context, v1::Org* org) {
  v1::GetOrgRequest request;
  KEYFERRY_RETURN_IF_FAILED(context.Org(request.mutable_name()));
  return context.Call(Idempotent::kYes, &Stub::GetOrg, request, org);
}

Outcome Describe(Context& context, const Arguments&) {
  v1::Org org;
  KEYFERRY_RETURN_IF_FAILED(Get(context, &org));
  context.printer().Message(org);
  return std::nullopt;
}

Outcome SetTier(Context& context, const Arguments& arguments) {
  v1::UpdateOrgRequest request;
  KEYFERRY_RETURN_IF_FAILED(context.Org(request.mutable_org()->mutable_name()));
  v1::Tier tier = v1::TIER_UNSPECIFIED;
  v1::Tier_Parse(absl::StrCat("TIER_", absl::AsciiStrToUpper(arguments.Text("TIER"))), &tier);
  request.mutable_org()->set_tier(tier);
  request.mutable_update_mask()->add_paths("tier");
  v1::Org org;
  KEYFERRY_RETURN_IF_FAILED(context.Call(Idempotent::kYes, &Stub::UpdateOrg, request, &org));
  context.printer().Message(org);
  return std::nullopt;
}

// Adds a name to those that the organization allows, or takes it away.
Outcome ChangeAllowedNames(Context& context, const Arguments& arguments, bool allow) {
  const std::string& name = arguments.Text("NAME");
  v1::Org org;
  KEYFERRY_RETURN_IF_FAILED(Get(context, &org));
  v1::UpdateOrgRequest request;
  request.mutable_org()->set_name(org.name());
  // So that two of these at once do not undo one another.
  request.mutable_org()->set_etag(org.etag());
  bool found = false;
  for (const std::string& allowed : org.allowed_variable_names()) {
    if (allowed != name) request.mutable_org()->add_allowed_variable_names(allowed);
    found = found || allowed == name;
  }
  if (!allow && !found) {
    return Failure{ExitCode::kOther, absl::StrCat("not allowed anyway: ", name, "; see `keyferry org describe`")};
  }
  if (allow) request.mutable_org()->add_allowed_variable_names(name);
  request.mutable_update_mask()->add_paths("allowed_variable_names");
  KEYFERRY_RETURN_IF_FAILED(context.Call(Idempotent::kNo, &Stub::UpdateOrg, request, &org));
  context.printer().Message(org);
  return std::nullopt;
}

Outcome AllowName(Context& context, const Arguments& arguments) {
  return ChangeAllowedNames(context, arguments, /*allow=*/true);
}

Outcome DisallowName(Context& context, const Arguments& arguments) {
  return ChangeAllowedNames(context, arguments, /*allow=*/false);
}

Outcome Delete(Context& context, const Arguments& arguments) {
  v1::Org org;
  KEYFERRY_RETURN_IF_FAILED(Get(context, &org));
  KEYFERRY_RETURN_IF_FAILED(context.Confirm(
      absl::StrCat("Delete ", org.name(), " with every user, credential and MCP server in it for good?"),
      arguments.Has("--yes")));
  v1::DeleteOrgRequest request;
  request.set_name(org.name());
  request.set_etag(org.etag());
  google::protobuf::Empty empty;
  KEYFERRY_RETURN_IF_FAILED(context.Call(Idempotent::kNo, &Stub::DeleteOrg, request, &empty));
  context.printer().Done("deleted", org.name(), absl::StrCat("Deleted ", org.name()));
  return std::nullopt;
}

Outcome Encryption(Context& context, const Arguments&) {
  v1::GetOrgEncryptionRequest request;
  KEYFERRY_RETURN_IF_FAILED(context.Org(request.mutable_name()));
  v1::OrgEncryption encryption;
  KEYFERRY_RETURN_IF_FAILED(context.Call(Idempotent::kYes, &Stub::GetOrgEncryption, request, &encryption));
  context.printer().Message(encryption);
  return std::nullopt;
}

Outcome RotateDataKey(Context& context, const Arguments&) {
  v1::RotateOrgDataKeyRequest request;
  KEYFERRY_RETURN_IF_FAILED(context.Org(request.mutable_name()));
  v1::OrgEncryption encryption;
  KEYFERRY_RETURN_IF_FAILED(context.Call(Idempotent::kNo, &Stub::RotateOrgDataKey, request, &encryption));
  context.printer().Message(encryption);
  return std::nullopt;
}

}  // namespace

void AddOrgCommands(CommandTree& tree) {
  tree.groups.push_back({"org", "Look at and manage the organization"});
  tree.commands.push_back({"org describe", "Show the organization", "", {}, {}, {}, Describe});
  tree.commands.push_back({"org set-tier",
                           "Change the tier",
                           "A downgrade deletes nothing; what the lower tier lacks is suspended.",
                           {{"TIER", "The new tier", {"free", "team", "business", "enterprise"}}},
                           {},
                           {},
                           SetTier});
  const Positional name = {"NAME", "Name of an environment variable, e.g. NODE_OPTIONS"};
  tree.commands.push_back(
      {"org allow-name",
       "Allow a variable that changes how a process starts",
       "Such names (PATH, LD_*, NODE_OPTIONS, ...) are refused for credentials and bindings unless an\n"
       "ADMIN allows them: whoever may define an MCP server can then run code where it is launched.\n"
       "KEYFERRY_* is never allowed.",
       {name},
       {},
       {},
       AllowName});
  tree.commands.push_back({"org disallow-name",
                           "Take such a permission away; what binds the variable no longer launches",
                           "",
                           {name},
                           {},
                           {},
                           DisallowName});
  tree.commands.push_back(
      {"org delete", "Delete the organization and everything in it", "", {}, {YesOption()}, {}, Delete});
  tree.commands.push_back(
      {"org encryption", "Show which data key seals the organization's records", "", {}, {}, {}, Encryption});
  tree.commands.push_back({"org rotate-data-key",
                           "Add a data key and rewrap all records in the background",
                           "",
                           {},
                           {},
                           {},
                           RotateDataKey});
}

}  // namespace keyferry::client::cli
