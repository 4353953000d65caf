#ifndef KEYFERRY_CLIENT_CLI_WORKLOAD_GRANTS_H_
#define KEYFERRY_CLIENT_CLI_WORKLOAD_GRANTS_H_

#include <optional>
#include <string>
#include <vector>

#include "client/cli/command.h"
#include "client/cli/outcome.h"
#include "keyferry/v1/directory.pb.h"

namespace keyferry::client::cli {

// What is granted to a workload, or taken from it.
struct WorkloadGrants {
  // Resource names.
  std::vector<std::string> mcp_servers;
  std::optional<v1::WorkloadIdentity> identity;
  bool sessions = false;
};

// The options that name an identity, and which of them exclude one another.
std::vector<Option> IdentityOptions();
std::vector<std::vector<std::string>> IdentityExclusions();

// The identity that they name; none if none is given. A usage failure if one is named by half.
Outcome ReadIdentity(const Arguments& arguments, std::optional<v1::WorkloadIdentity>* identity);

// kOther if `current` lacks one of the grants, with what it is granted: taken away would be nothing, and what was meant
// would stay.
Outcome CheckGranted(const WorkloadGrants& grants, const v1::Workload& current);

// Asks for the workload `current` with the grants added, or taken away: the fields that change and their mask.
void ApplyGrants(const WorkloadGrants& grants, bool grant, const v1::Workload& current,
                 v1::UpdateWorkloadRequest* request);

}  // namespace keyferry::client::cli

#endif  // KEYFERRY_CLIENT_CLI_WORKLOAD_GRANTS_H_
