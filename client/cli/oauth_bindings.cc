#include "client/cli/oauth_bindings.h"

#include "keyferry/v1/directory.grpc.pb.h"
#include "keyferry/v1/mcp_servers.grpc.pb.h"

namespace keyferry::client::cli {
namespace {

Outcome FindOf(Context& context, const std::string& parent, std::vector<OauthVariable>* variables) {
  v1::ListMcpServersRequest request;
  request.set_parent(parent);
  std::vector<v1::McpServer> servers;
  KEYFERRY_RETURN_IF_FAILED(context.List(&v1::McpServerService::Stub::ListMcpServers, request,
                                         &v1::ListMcpServersResponse::mcp_servers, &servers));
  for (const v1::McpServer& server : servers) {
    for (const v1::EnvBinding& binding : server.env()) {
      if (binding.source_case() != v1::EnvBinding::kOauth) continue;
      variables->push_back({server.name(), binding.variable(), binding.oauth()});
    }
  }
  return std::nullopt;
}

}  // namespace

Outcome FindOauthVariables(Context& context, std::vector<OauthVariable>* variables) {
  v1::ListTeamsRequest request;
  KEYFERRY_RETURN_IF_FAILED(context.Org(request.mutable_parent()));
  KEYFERRY_RETURN_IF_FAILED(FindOf(context, request.parent(), variables));
  std::vector<v1::Team> teams;
  KEYFERRY_RETURN_IF_FAILED(
      context.List(&v1::DirectoryService::Stub::ListTeams, request, &v1::ListTeamsResponse::teams, &teams));
  for (const v1::Team& team : teams) KEYFERRY_RETURN_IF_FAILED(FindOf(context, team.name(), variables));
  return std::nullopt;
}

}  // namespace keyferry::client::cli
