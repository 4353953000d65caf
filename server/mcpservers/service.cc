#include "server/mcpservers/service.h"

#include "keyferry/v1/mcp_servers.grpc.pb.h"
#include "server/rpc/wiping_allocator.h"

namespace keyferry::server {
namespace {

using Context = grpc::CallbackServerContext;
using Reactor = grpc::ServerUnaryReactor;
using google::protobuf::Empty;

class McpServerService : public v1::McpServerService::CallbackService {
 public:
  McpServerService(Dispatcher* dispatcher, McpServerRules* rules) : dispatcher_(dispatcher), rules_(rules) {
    SetMessageAllocatorFor_ApplyMcpServer(&apply_mcp_server_messages_);
  }

  Reactor* ApplyMcpServer(Context* context, const v1::ApplyMcpServerRequest* request,
                          v1::ApplyMcpServerResponse* response) override {
    return dispatcher_->Unary(
        context, ChangeMethod("McpServerService/ApplyMcpServer"), request, response,
        [this](const Caller& caller, const auto& r) { return rules_->ApplyMcpServer(caller, r); });
  }
  Reactor* GetMcpServer(Context* context, const v1::GetMcpServerRequest* request, v1::McpServer* response) override {
    return dispatcher_->Unary(context, ReadMethod("McpServerService/GetMcpServer"), request, response,
                              [this](const Caller& caller, const auto& r) { return rules_->GetMcpServer(caller, r); });
  }
  Reactor* ListMcpServers(Context* context, const v1::ListMcpServersRequest* request,
                          v1::ListMcpServersResponse* response) override {
    return dispatcher_->Unary(
        context, ReadMethod("McpServerService/ListMcpServers"), request, response,
        [this](const Caller& caller, const auto& r) { return rules_->ListMcpServers(caller, r); });
  }
  Reactor* DeleteMcpServer(Context* context, const v1::DeleteMcpServerRequest* request, Empty* response) override {
    return dispatcher_->Unary(
        context, ChangeMethod("McpServerService/DeleteMcpServer"), request, response,
        [this](const Caller& caller, const auto& r) { return rules_->DeleteMcpServer(caller, r); });
  }

 private:
  WipingAllocator<v1::ApplyMcpServerRequest, v1::ApplyMcpServerResponse> apply_mcp_server_messages_;
  Dispatcher* const dispatcher_;
  McpServerRules* const rules_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeMcpServerService(Dispatcher* dispatcher, McpServerRules* rules) {
  return std::make_unique<McpServerService>(dispatcher, rules);
}

}  // namespace keyferry::server
