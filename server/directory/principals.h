#ifndef KEYFERRY_SERVER_DIRECTORY_PRINCIPALS_H_
#define KEYFERRY_SERVER_DIRECTORY_PRINCIPALS_H_

#include <utility>

#include "absl/status/statusor.h"
#include "google/protobuf/empty.pb.h"
#include "keyferry/v1/directory.pb.h"
#include "server/access/access.h"
#include "server/credentials/parent_counts.h"
#include "server/directory/common.h"
#include "server/identity/caller.h"

namespace keyferry::server {

// The rules of DirectoryService for services and workloads. Thread-safe. Only an ADMIN sees and changes them; others
// get an empty list.
class PrincipalRules {
 public:
  // Of one org; more answer RESOURCE_EXHAUSTED with reason TOO_MANY.
  static constexpr int kMaxServices = 1000;
  static constexpr int kMaxWorkloads = 10000;

  explicit PrincipalRules(DirectoryContext context)
      : context_(std::move(context)),
        service_counts_(context_.store, storage::Table::kService, kMaxServices, "services"),
        workload_counts_(context_.store, storage::Table::kWorkload, kMaxWorkloads, "workloads") {}

  absl::StatusOr<v1::Service> CreateService(const Caller& caller, const v1::CreateServiceRequest& request) const;
  absl::StatusOr<v1::ListServicesResponse> ListServices(const Caller& caller,
                                                        const v1::ListServicesRequest& request) const;
  absl::StatusOr<v1::Service> UpdateService(const Caller& caller, const v1::UpdateServiceRequest& request) const;
  // With its tokens and the sessions that it created, in one commit.
  absl::StatusOr<google::protobuf::Empty> DeleteService(const Caller& caller,
                                                        const v1::DeleteServiceRequest& request) const;

  // The granted MCP servers must be well-formed names of the same org; they need not exist yet.
  absl::StatusOr<v1::Workload> CreateWorkload(const Caller& caller, const v1::CreateWorkloadRequest& request) const;
  absl::StatusOr<v1::ListWorkloadsResponse> ListWorkloads(const Caller& caller,
                                                          const v1::ListWorkloadsRequest& request) const;
  absl::StatusOr<v1::Workload> UpdateWorkload(const Caller& caller, const v1::UpdateWorkloadRequest& request) const;
  // With its tokens and the sessions that it alone may present, in one commit.
  absl::StatusOr<google::protobuf::Empty> DeleteWorkload(const Caller& caller,
                                                         const v1::DeleteWorkloadRequest& request) const;

 private:
  absl::StatusOr<google::protobuf::Empty> Delete(const Caller& caller, ResourceKind kind, storage::Table table,
                                                 absl::string_view collection, const std::string& name) const;

  const DirectoryContext context_;
  mutable ParentCounts service_counts_;
  mutable ParentCounts workload_counts_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_DIRECTORY_PRINCIPALS_H_
