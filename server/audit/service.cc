#include "server/audit/service.h"

#include "keyferry/v1/audit.grpc.pb.h"

namespace keyferry::server {
namespace {

using Context = grpc::CallbackServerContext;
using Reactor = grpc::ServerUnaryReactor;

class AuditService : public v1::AuditService::CallbackService {
 public:
  AuditService(Dispatcher* dispatcher, AuditRules* rules) : dispatcher_(dispatcher), rules_(rules) {}

  Reactor* ListAuditEntries(Context* context, const v1::ListAuditEntriesRequest* request,
                            v1::ListAuditEntriesResponse* response) override {
    return dispatcher_->Unary(
        context, LargeReadMethod("AuditService/ListAuditEntries"), request, response,
        [this](const Caller& caller, const auto& r) { return rules_->ListAuditEntries(caller, r); });
  }
  Reactor* GetAuditHead(Context* context, const v1::GetAuditHeadRequest* request, v1::AuditHead* response) override {
    return dispatcher_->Unary(context, ReadMethod("AuditService/GetAuditHead"), request, response,
                              [this](const Caller& caller, const auto& r) { return rules_->GetAuditHead(caller, r); });
  }
  Reactor* VerifyAuditLog(Context* context, const v1::VerifyAuditLogRequest* request,
                          v1::VerifyAuditLogResponse* response) override {
    return dispatcher_->Unary(
        context, LargeReadMethod("AuditService/VerifyAuditLog"), request, response,
        [this](const Caller& caller, const auto& r) { return rules_->VerifyAuditLog(caller, r); });
  }

 private:
  Dispatcher* const dispatcher_;
  AuditRules* const rules_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeAuditService(Dispatcher* dispatcher, AuditRules* rules) {
  return std::make_unique<AuditService>(dispatcher, rules);
}

}  // namespace keyferry::server
