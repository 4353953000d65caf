#include "server/directory/service.h"

#include "keyferry/v1/directory.grpc.pb.h"
#include "keyferry/v1/tokens.grpc.pb.h"
#include "server/directory/orgs.h"
#include "server/directory/principals.h"
#include "server/directory/teams.h"
#include "server/directory/tokens.h"
#include "server/directory/users.h"
#include "server/rpc/wiping_allocator.h"

namespace keyferry::server {
namespace {

using Context = grpc::CallbackServerContext;
using Reactor = grpc::ServerUnaryReactor;
using google::protobuf::Empty;

class DirectoryService : public v1::DirectoryService::CallbackService {
 public:
  DirectoryService(Dispatcher* dispatcher, const DirectoryContext& context)
      : dispatcher_(dispatcher), orgs_(context), users_(context), teams_(context), principals_(context) {}

  Reactor* GetOrg(Context* context, const v1::GetOrgRequest* request, v1::Org* response) override {
    return dispatcher_->Unary(context, ReadMethod("DirectoryService/GetOrg"), request, response,
                              [this](const Caller& caller, const auto& r) { return orgs_.GetOrg(caller, r); });
  }
  Reactor* UpdateOrg(Context* context, const v1::UpdateOrgRequest* request, v1::Org* response) override {
    return dispatcher_->Unary(context, ChangeMethod("DirectoryService/UpdateOrg"), request, response,
                              [this](const Caller& caller, const auto& r) { return orgs_.UpdateOrg(caller, r); });
  }
  Reactor* DeleteOrg(Context* context, const v1::DeleteOrgRequest* request, Empty* response) override {
    return dispatcher_->Unary(context, ChangeMethod("DirectoryService/DeleteOrg"), request, response,
                              [this](const Caller& caller, const auto& r) { return orgs_.DeleteOrg(caller, r); });
  }
  Reactor* GetOrgEncryption(Context* context, const v1::GetOrgEncryptionRequest* request,
                            v1::OrgEncryption* response) override {
    return dispatcher_->Unary(
        context, ReadMethod("DirectoryService/GetOrgEncryption"), request, response,
        [this](const Caller& caller, const auto& r) { return orgs_.GetOrgEncryption(caller, r); });
  }
  Reactor* RotateOrgDataKey(Context* context, const v1::RotateOrgDataKeyRequest* request,
                            v1::OrgEncryption* response) override {
    return dispatcher_->Unary(
        context, ChangeMethod("DirectoryService/RotateOrgDataKey"), request, response,
        [this](const Caller& caller, const auto& r) { return orgs_.RotateOrgDataKey(caller, r); });
  }
  Reactor* CreateUser(Context* context, const v1::CreateUserRequest* request, v1::User* response) override {
    return dispatcher_->Unary(context, ChangeMethod("DirectoryService/CreateUser"), request, response,
                              [this](const Caller& caller, const auto& r) { return users_.CreateUser(caller, r); });
  }
  Reactor* GetUser(Context* context, const v1::GetUserRequest* request, v1::User* response) override {
    return dispatcher_->Unary(context, ReadMethod("DirectoryService/GetUser"), request, response,
                              [this](const Caller& caller, const auto& r) { return users_.GetUser(caller, r); });
  }
  Reactor* ListUsers(Context* context, const v1::ListUsersRequest* request, v1::ListUsersResponse* response) override {
    return dispatcher_->Unary(context, ReadMethod("DirectoryService/ListUsers"), request, response,
                              [this](const Caller& caller, const auto& r) { return users_.ListUsers(caller, r); });
  }
  Reactor* UpdateUser(Context* context, const v1::UpdateUserRequest* request, v1::User* response) override {
    return dispatcher_->Unary(context, ChangeMethod("DirectoryService/UpdateUser"), request, response,
                              [this](const Caller& caller, const auto& r) { return users_.UpdateUser(caller, r); });
  }
  Reactor* DeleteUser(Context* context, const v1::DeleteUserRequest* request, Empty* response) override {
    return dispatcher_->Unary(context, ChangeMethod("DirectoryService/DeleteUser"), request, response,
                              [this](const Caller& caller, const auto& r) { return users_.DeleteUser(caller, r); });
  }
  Reactor* CreateTeam(Context* context, const v1::CreateTeamRequest* request, v1::Team* response) override {
    return dispatcher_->Unary(context, ChangeMethod("DirectoryService/CreateTeam"), request, response,
                              [this](const Caller& caller, const auto& r) { return teams_.CreateTeam(caller, r); });
  }
  Reactor* GetTeam(Context* context, const v1::GetTeamRequest* request, v1::Team* response) override {
    return dispatcher_->Unary(context, ReadMethod("DirectoryService/GetTeam"), request, response,
                              [this](const Caller& caller, const auto& r) { return teams_.GetTeam(caller, r); });
  }
  Reactor* ListTeams(Context* context, const v1::ListTeamsRequest* request, v1::ListTeamsResponse* response) override {
    return dispatcher_->Unary(context, ReadMethod("DirectoryService/ListTeams"), request, response,
                              [this](const Caller& caller, const auto& r) { return teams_.ListTeams(caller, r); });
  }
  Reactor* DeleteTeam(Context* context, const v1::DeleteTeamRequest* request, Empty* response) override {
    return dispatcher_->Unary(context, ChangeMethod("DirectoryService/DeleteTeam"), request, response,
                              [this](const Caller& caller, const auto& r) { return teams_.DeleteTeam(caller, r); });
  }
  Reactor* SetTeamMember(Context* context, const v1::SetTeamMemberRequest* request, v1::TeamMember* response) override {
    return dispatcher_->Unary(context, ChangeMethod("DirectoryService/SetTeamMember"), request, response,
                              [this](const Caller& caller, const auto& r) { return teams_.SetTeamMember(caller, r); });
  }
  Reactor* ListTeamMembers(Context* context, const v1::ListTeamMembersRequest* request,
                           v1::ListTeamMembersResponse* response) override {
    return dispatcher_->Unary(
        context, ReadMethod("DirectoryService/ListTeamMembers"), request, response,
        [this](const Caller& caller, const auto& r) { return teams_.ListTeamMembers(caller, r); });
  }
  Reactor* RemoveTeamMember(Context* context, const v1::RemoveTeamMemberRequest* request, Empty* response) override {
    return dispatcher_->Unary(
        context, ChangeMethod("DirectoryService/RemoveTeamMember"), request, response,
        [this](const Caller& caller, const auto& r) { return teams_.RemoveTeamMember(caller, r); });
  }
  Reactor* CreateService(Context* context, const v1::CreateServiceRequest* request, v1::Service* response) override {
    return dispatcher_->Unary(
        context, ChangeMethod("DirectoryService/CreateService"), request, response,
        [this](const Caller& caller, const auto& r) { return principals_.CreateService(caller, r); });
  }
  Reactor* ListServices(Context* context, const v1::ListServicesRequest* request,
                        v1::ListServicesResponse* response) override {
    return dispatcher_->Unary(
        context, ReadMethod("DirectoryService/ListServices"), request, response,
        [this](const Caller& caller, const auto& r) { return principals_.ListServices(caller, r); });
  }
  Reactor* UpdateService(Context* context, const v1::UpdateServiceRequest* request, v1::Service* response) override {
    return dispatcher_->Unary(
        context, ChangeMethod("DirectoryService/UpdateService"), request, response,
        [this](const Caller& caller, const auto& r) { return principals_.UpdateService(caller, r); });
  }
  Reactor* DeleteService(Context* context, const v1::DeleteServiceRequest* request, Empty* response) override {
    return dispatcher_->Unary(
        context, ChangeMethod("DirectoryService/DeleteService"), request, response,
        [this](const Caller& caller, const auto& r) { return principals_.DeleteService(caller, r); });
  }
  Reactor* CreateWorkload(Context* context, const v1::CreateWorkloadRequest* request, v1::Workload* response) override {
    return dispatcher_->Unary(
        context, ChangeMethod("DirectoryService/CreateWorkload"), request, response,
        [this](const Caller& caller, const auto& r) { return principals_.CreateWorkload(caller, r); });
  }
  Reactor* ListWorkloads(Context* context, const v1::ListWorkloadsRequest* request,
                         v1::ListWorkloadsResponse* response) override {
    return dispatcher_->Unary(
        context, ReadMethod("DirectoryService/ListWorkloads"), request, response,
        [this](const Caller& caller, const auto& r) { return principals_.ListWorkloads(caller, r); });
  }
  Reactor* UpdateWorkload(Context* context, const v1::UpdateWorkloadRequest* request, v1::Workload* response) override {
    return dispatcher_->Unary(
        context, ChangeMethod("DirectoryService/UpdateWorkload"), request, response,
        [this](const Caller& caller, const auto& r) { return principals_.UpdateWorkload(caller, r); });
  }
  Reactor* DeleteWorkload(Context* context, const v1::DeleteWorkloadRequest* request, Empty* response) override {
    return dispatcher_->Unary(
        context, ChangeMethod("DirectoryService/DeleteWorkload"), request, response,
        [this](const Caller& caller, const auto& r) { return principals_.DeleteWorkload(caller, r); });
  }

 private:
  Dispatcher* const dispatcher_;
  const OrgRules orgs_;
  const UserRules users_;
  const TeamRules teams_;
  const PrincipalRules principals_;
};

class TokenService : public v1::TokenService::CallbackService {
 public:
  TokenService(Dispatcher* dispatcher, const DirectoryContext& context) : dispatcher_(dispatcher), tokens_(context) {
    SetMessageAllocatorFor_CreateToken(&create_token_messages_);
  }

  Reactor* CreateToken(Context* context, const v1::CreateTokenRequest* request,
                       v1::CreateTokenResponse* response) override {
    return dispatcher_->Unary(context, ChangeMethod("TokenService/CreateToken"), request, response,
                              [this](const Caller& caller, const auto& r) { return tokens_.CreateToken(caller, r); });
  }
  Reactor* ListTokens(Context* context, const v1::ListTokensRequest* request,
                      v1::ListTokensResponse* response) override {
    return dispatcher_->Unary(context, ReadMethod("TokenService/ListTokens"), request, response,
                              [this](const Caller& caller, const auto& r) { return tokens_.ListTokens(caller, r); });
  }
  Reactor* RevokeToken(Context* context, const v1::RevokeTokenRequest* request, Empty* response) override {
    return dispatcher_->Unary(context, ChangeMethod("TokenService/RevokeToken"), request, response,
                              [this](const Caller& caller, const auto& r) { return tokens_.RevokeToken(caller, r); });
  }
  Reactor* GetCaller(Context* context, const v1::GetCallerRequest* request, v1::Caller* response) override {
    return dispatcher_->Unary(context, ReadMethod("TokenService/GetCaller"), request, response,
                              [this](const Caller& caller, const auto& r) { return tokens_.GetCaller(caller, r); });
  }

 private:
  WipingAllocator<v1::CreateTokenRequest, v1::CreateTokenResponse> create_token_messages_;
  Dispatcher* const dispatcher_;
  const TokenRules tokens_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeDirectoryService(Dispatcher* dispatcher, const DirectoryContext& context) {
  return std::make_unique<DirectoryService>(dispatcher, context);
}

std::unique_ptr<grpc::Service> MakeTokenService(Dispatcher* dispatcher, const DirectoryContext& context) {
  return std::make_unique<TokenService>(dispatcher, context);
}

}  // namespace keyferry::server
