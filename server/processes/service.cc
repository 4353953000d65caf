#include "server/processes/service.h"

#include "keyferry/v1/processes.grpc.pb.h"

namespace keyferry::server {
namespace {

using Context = grpc::CallbackServerContext;
using Reactor = grpc::ServerUnaryReactor;

class ProcessService : public v1::ProcessService::CallbackService {
 public:
  ProcessService(Dispatcher* dispatcher, const ProcessRules* rules) : dispatcher_(dispatcher), rules_(rules) {}

  Reactor* ListProcesses(Context* context, const v1::ListProcessesRequest* request,
                         v1::ListProcessesResponse* response) override {
    return dispatcher_->Unary(context, ReadMethod("ProcessService/ListProcesses"), request, response,
                              [this](const Caller& caller, const auto& r) { return rules_->ListProcesses(caller, r); });
  }
  Reactor* GetCredentialRollout(Context* context, const v1::GetCredentialRolloutRequest* request,
                                v1::CredentialRollout* response) override {
    return dispatcher_->Unary(
        context, ReadMethod("ProcessService/GetCredentialRollout"), request, response,
        [this](const Caller& caller, const auto& r) { return rules_->GetCredentialRollout(caller, r); });
  }
  Reactor* ConfirmEnvironment(Context* context, const v1::ConfirmEnvironmentRequest* request,
                              v1::ConfirmEnvironmentResponse* response) override {
    return dispatcher_->Unary(
        context, ReadMethod("ProcessService/ConfirmEnvironment"), request, response,
        [this](const Caller& caller, const auto& r) { return rules_->ConfirmEnvironment(caller, r); });
  }
  Reactor* DeleteProcess(Context* context, const v1::DeleteProcessRequest* request,
                         google::protobuf::Empty* response) override {
    return dispatcher_->Unary(context, ReadMethod("ProcessService/DeleteProcess"), request, response,
                              [this](const Caller& caller, const auto& r) { return rules_->DeleteProcess(caller, r); });
  }

 private:
  Dispatcher* const dispatcher_;
  const ProcessRules* const rules_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeProcessService(Dispatcher* dispatcher, const ProcessRules* rules) {
  return std::make_unique<ProcessService>(dispatcher, rules);
}

}  // namespace keyferry::server
