#include "server/oauth/providers/service.h"

#include "keyferry/v1/oauth_providers.grpc.pb.h"
#include "server/rpc/wiping_allocator.h"

namespace keyferry::server {
namespace {

using Context = grpc::CallbackServerContext;
using Reactor = grpc::ServerUnaryReactor;

class OauthProviderService : public v1::OauthProviderService::CallbackService {
 public:
  OauthProviderService(Dispatcher* dispatcher, OauthProviderRules* rules) : dispatcher_(dispatcher), rules_(rules) {
    SetMessageAllocatorFor_CreateOauthProvider(&create_messages_);
    SetMessageAllocatorFor_UpdateOauthProvider(&update_messages_);
  }

  Reactor* CreateOauthProvider(Context* context, const v1::CreateOauthProviderRequest* request,
                               v1::OauthProvider* response) override {
    return dispatcher_->Unary(
        context, ChangeMethod("OauthProviderService/CreateOauthProvider"), request, response,
        [this](const Caller& caller, const auto& r) { return rules_->CreateOauthProvider(caller, r); });
  }
  Reactor* GetOauthProvider(Context* context, const v1::GetOauthProviderRequest* request,
                            v1::OauthProvider* response) override {
    return dispatcher_->Unary(
        context, ReadMethod("OauthProviderService/GetOauthProvider"), request, response,
        [this](const Caller& caller, const auto& r) { return rules_->GetOauthProvider(caller, r); });
  }
  Reactor* ListOauthProviders(Context* context, const v1::ListOauthProvidersRequest* request,
                              v1::ListOauthProvidersResponse* response) override {
    return dispatcher_->Unary(
        context, ReadMethod("OauthProviderService/ListOauthProviders"), request, response,
        [this](const Caller& caller, const auto& r) { return rules_->ListOauthProviders(caller, r); });
  }
  Reactor* UpdateOauthProvider(Context* context, const v1::UpdateOauthProviderRequest* request,
                               v1::OauthProvider* response) override {
    return dispatcher_->Unary(
        context, ChangeMethod("OauthProviderService/UpdateOauthProvider"), request, response,
        [this](const Caller& caller, const auto& r) { return rules_->UpdateOauthProvider(caller, r); });
  }
  Reactor* DeleteOauthProvider(Context* context, const v1::DeleteOauthProviderRequest* request,
                               v1::DeleteOauthProviderResponse* response) override {
    return dispatcher_->Unary(
        context, ChangeMethod("OauthProviderService/DeleteOauthProvider"), request, response,
        [this](const Caller& caller, const auto& r) { return rules_->DeleteOauthProvider(caller, r); });
  }
  // On the executor, since it waits for the provider.
  Reactor* CheckOauthProvider(Context* context, const v1::CheckOauthProviderRequest* request,
                              v1::CheckOauthProviderResponse* response) override {
    return dispatcher_->Unary(
        context, LargeReadMethod("OauthProviderService/CheckOauthProvider"), request, response,
        [this](const Caller& caller, const auto& r) { return rules_->CheckOauthProvider(caller, r); });
  }

 private:
  WipingAllocator<v1::CreateOauthProviderRequest, v1::OauthProvider> create_messages_;
  WipingAllocator<v1::UpdateOauthProviderRequest, v1::OauthProvider> update_messages_;
  Dispatcher* const dispatcher_;
  OauthProviderRules* const rules_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeOauthProviderService(Dispatcher* dispatcher, OauthProviderRules* rules) {
  return std::make_unique<OauthProviderService>(dispatcher, rules);
}

}  // namespace keyferry::server
