#include "server/credentials/service.h"

#include "keyferry/v1/credentials.grpc.pb.h"
#include "server/rpc/wiping_allocator.h"

namespace keyferry::server {
namespace {

using Context = grpc::CallbackServerContext;
using Reactor = grpc::ServerUnaryReactor;
using google::protobuf::Empty;

class CredentialService : public v1::CredentialService::CallbackService {
 public:
  CredentialService(Dispatcher* dispatcher, CredentialRules* rules) : dispatcher_(dispatcher), rules_(rules) {
    SetMessageAllocatorFor_CreateCredential(&create_credential_messages_);
    SetMessageAllocatorFor_RotateCredential(&rotate_credential_messages_);
    SetMessageAllocatorFor_BatchRotateCredentials(&batch_rotate_credentials_messages_);
    SetMessageAllocatorFor_ImportCredentials(&import_credentials_messages_);
  }

  Reactor* CreateCredential(Context* context, const v1::CreateCredentialRequest* request,
                            v1::Credential* response) override {
    return dispatcher_->Unary(
        context, ChangeMethod("CredentialService/CreateCredential"), request, response,
        [this](const Caller& caller, const auto& r) { return rules_->CreateCredential(caller, r); });
  }
  Reactor* GetCredential(Context* context, const v1::GetCredentialRequest* request, v1::Credential* response) override {
    return dispatcher_->Unary(context, ReadMethod("CredentialService/GetCredential"), request, response,
                              [this](const Caller& caller, const auto& r) { return rules_->GetCredential(caller, r); });
  }
  Reactor* ListCredentials(Context* context, const v1::ListCredentialsRequest* request,
                           v1::ListCredentialsResponse* response) override {
    return dispatcher_->Unary(
        context, ReadMethod("CredentialService/ListCredentials"), request, response,
        [this](const Caller& caller, const auto& r) { return rules_->ListCredentials(caller, r); });
  }
  Reactor* ListMyCredentials(Context* context, const v1::ListMyCredentialsRequest* request,
                             v1::ListMyCredentialsResponse* response) override {
    return dispatcher_->Unary(
        context, ReadMethod("CredentialService/ListMyCredentials"), request, response,
        [this](const Caller& caller, const auto& r) { return rules_->ListMyCredentials(caller, r); });
  }
  Reactor* UpdateCredential(Context* context, const v1::UpdateCredentialRequest* request,
                            v1::Credential* response) override {
    return dispatcher_->Unary(
        context, ChangeMethod("CredentialService/UpdateCredential"), request, response,
        [this](const Caller& caller, const auto& r) { return rules_->UpdateCredential(caller, r); });
  }
  Reactor* RotateCredential(Context* context, const v1::RotateCredentialRequest* request,
                            v1::Credential* response) override {
    return dispatcher_->Unary(
        context, ChangeMethod("CredentialService/RotateCredential"), request, response,
        [this](const Caller& caller, const auto& r) { return rules_->RotateCredential(caller, r); });
  }
  Reactor* RollbackCredential(Context* context, const v1::RollbackCredentialRequest* request,
                              v1::Credential* response) override {
    return dispatcher_->Unary(
        context, ChangeMethod("CredentialService/RollbackCredential"), request, response,
        [this](const Caller& caller, const auto& r) { return rules_->RollbackCredential(caller, r); });
  }
  Reactor* BatchRotateCredentials(Context* context, const v1::BatchRotateCredentialsRequest* request,
                                  v1::BatchRotateCredentialsResponse* response) override {
    return dispatcher_->Unary(
        context, LargeChangeMethod("CredentialService/BatchRotateCredentials"), request, response,
        [this](const Caller& caller, const auto& r) { return rules_->BatchRotateCredentials(caller, r); });
  }
  Reactor* ImportCredentials(Context* context, const v1::ImportCredentialsRequest* request,
                             v1::ImportCredentialsResponse* response) override {
    return dispatcher_->Unary(
        context, LargeChangeMethod("CredentialService/ImportCredentials"), request, response,
        [this](const Caller& caller, const auto& r) { return rules_->ImportCredentials(caller, r); });
  }
  Reactor* DeleteCredential(Context* context, const v1::DeleteCredentialRequest* request, Empty* response) override {
    return dispatcher_->Unary(
        context, ChangeMethod("CredentialService/DeleteCredential"), request, response,
        [this](const Caller& caller, const auto& r) { return rules_->DeleteCredential(caller, r); });
  }

 private:
  WipingAllocator<v1::CreateCredentialRequest, v1::Credential> create_credential_messages_;
  WipingAllocator<v1::RotateCredentialRequest, v1::Credential> rotate_credential_messages_;
  WipingAllocator<v1::BatchRotateCredentialsRequest, v1::BatchRotateCredentialsResponse>
      batch_rotate_credentials_messages_;
  WipingAllocator<v1::ImportCredentialsRequest, v1::ImportCredentialsResponse> import_credentials_messages_;
  Dispatcher* const dispatcher_;
  CredentialRules* const rules_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeCredentialService(Dispatcher* dispatcher, CredentialRules* rules) {
  return std::make_unique<CredentialService>(dispatcher, rules);
}

}  // namespace keyferry::server
