// A program that uses Keyferry as an internal service would: it creates a credential, lists, rotates, resolves and
// deletes it again, and shows what each kind of failure looks like.
//
//   manage_credentials NAME [TIMEOUT_SECONDS] < VALUE
//
// Settings come from KEYFERRY_ADDRESS, KEYFERRY_CA_FILE, KEYFERRY_TOKEN_FILE and KEYFERRY_ORG. No value is printed.
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/keyferry_client.h"

namespace keyferry::examples {
namespace {

using client::ApiError;
using client::ChangePolicy;
using client::Client;
using client::ReadPolicy;
using client::Result;

// A credential with this value, or the error of the call.
Result<v1::Credential> Create(const Client& client, const std::string& parent, const std::string& name,
                              const std::string& value, absl::Duration timeout) {
  v1::CreateCredentialRequest request;
  request.set_parent(parent);
  request.set_credential_id(name);
  request.mutable_credential()->set_description("made by the C++ example");
  request.set_value(value);
  auto created = client.Call(&v1::CredentialService::Stub::CreateCredential, request, ChangePolicy(timeout));
  client::WipeString(*request.mutable_value());
  return created;
}

// Rotates, unless somebody changed the credential since `etag` was read.
Result<v1::Credential> Rotate(const Client& client, const std::string& name, const std::string& etag,
                              const std::string& value, absl::Duration timeout) {
  v1::RotateCredentialRequest request;
  request.set_name(name);
  request.set_etag(etag);
  request.set_value(value);
  auto rotated = client.Call(&v1::CredentialService::Stub::RotateCredential, request, ChangePolicy(timeout));
  client::WipeString(*request.mutable_value());
  return rotated;
}

// Registers an MCP server that binds the credential and resolves it as the caller: names and versions.
Result<v1::ResolveResponse> ResolveThrough(const Client& client, const std::string& server, const std::string& name,
                                           absl::Duration timeout) {
  v1::ApplyMcpServerRequest apply;
  apply.mutable_mcp_server()->set_name(server);
  apply.mutable_mcp_server()->set_transport(v1::MCP_TRANSPORT_STDIO);
  apply.mutable_mcp_server()->set_command("true");
  v1::EnvBinding* binding = apply.mutable_mcp_server()->add_env();
  binding->set_variable(name);
  binding->set_org_secret(name);
  auto applied = client.Call(&v1::McpServerService::Stub::ApplyMcpServer, apply, ChangePolicy(timeout));
  if (!applied.ok()) return applied.error();
  v1::ResolveRequest request;
  request.set_mcp_server(server);
  return client.Call(&v1::ResolutionService::Stub::Resolve, request, ReadPolicy(timeout));
}

int Fail(absl::string_view what, const ApiError& error) {
  std::cerr << what << " failed: " << absl::StatusCodeToString(error.code) << " " << error.reason << ": "
            << error.OneLine() << "\n";
  return 1;
}

int Run(const Client& client, const std::string& id, const std::string& value, absl::Duration timeout) {
  const std::string parent = absl::StrCat("orgs/", client.connection().options().org);
  const auto created = Create(client, parent, id, value, timeout);
  if (!created.ok()) return Fail("create", created.error());
  std::cout << "created " << created->name() << " version " << created->version() << "\n";

  v1::ListCredentialsRequest list;
  list.set_parent(parent);
  list.set_page_size(2);
  const auto listed = client.List(&v1::CredentialService::Stub::ListCredentials, list,
                                  &v1::ListCredentialsResponse::credentials, ReadPolicy(timeout));
  if (!listed.ok()) return Fail("list", listed.error());
  std::cout << "listed " << listed->size() << " credentials\n";

  const auto rotated = Rotate(client, created->name(), created->etag(), value, timeout);
  if (!rotated.ok()) return Fail("rotate", rotated.error());
  std::cout << "rotated to version " << rotated->version() << "\n";

  // The etag is of the first version: somebody else could have rotated meanwhile, and is not overwritten.
  const auto stale = Rotate(client, created->name(), created->etag(), value, timeout);
  if (stale.ok() || stale.error().code != absl::StatusCode::kAborted) return 1;
  std::cout << "refused as it should be: " << absl::StatusCodeToString(stale.error().code) << " "
            << stale.error().reason << ": " << stale.error().next_step << "\n";

  const std::string server = absl::StrCat(parent, "/mcpServers/example-cpp");
  auto resolved = ResolveThrough(client, server, id, timeout);
  if (!resolved.ok()) return Fail("resolve", resolved.error());
  v1::ResolveResponse environment = std::move(resolved).value();
  for (v1::ResolvedVariable& variable : *environment.mutable_variables()) {
    std::cout << "resolved " << variable.variable() << " from version " << variable.version() << "\n";
    client::WipeString(*variable.mutable_value());
  }

  v1::DeleteMcpServerRequest delete_server;
  delete_server.set_name(server);
  const auto server_deleted =
      client.Call(&v1::McpServerService::Stub::DeleteMcpServer, delete_server, ChangePolicy(timeout));
  if (!server_deleted.ok()) return Fail("delete", server_deleted.error());
  v1::DeleteCredentialRequest delete_credential;
  delete_credential.set_name(created->name());
  const auto deleted =
      client.Call(&v1::CredentialService::Stub::DeleteCredential, delete_credential, ChangePolicy(timeout));
  if (!deleted.ok()) return Fail("delete", deleted.error());
  std::cout << "deleted\n";
  return 0;
}

int Main(const std::vector<std::string>& arguments) {
  int timeout_seconds = 30;
  if (arguments.empty() || arguments.size() > 2 ||
      (arguments.size() == 2 && !absl::SimpleAtoi(arguments[1], &timeout_seconds))) {
    std::cerr << "usage: manage_credentials NAME [TIMEOUT_SECONDS] < VALUE\n";
    return 64;
  }
  const auto client = Client::FromEnvironment();
  if (!client.ok()) {
    std::cerr << client.status().message() << "\n";
    return 64;
  }
  std::string value((std::istreambuf_iterator<char>(std::cin)), std::istreambuf_iterator<char>());
  const int code = Run(**client, arguments[0], value, absl::Seconds(timeout_seconds));
  client::WipeString(value);
  return code;
}

}  // namespace
}  // namespace keyferry::examples

int main(int argc, char** argv) { return keyferry::examples::Main({argv + 1, argv + argc}); }
