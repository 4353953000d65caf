#ifndef KEYFERRY_SERVER_DIRECTORY_ORGS_H_
#define KEYFERRY_SERVER_DIRECTORY_ORGS_H_

#include <utility>

#include "absl/status/statusor.h"
#include "google/protobuf/empty.pb.h"
#include "keyferry/v1/directory.pb.h"
#include "server/directory/common.h"
#include "server/identity/caller.h"

namespace keyferry::server {

// The rules of DirectoryService for the organization itself. Thread-safe. Only an ADMIN changes it.
class OrgRules {
 public:
  explicit OrgRules(DirectoryContext context) : context_(std::move(context)) {}

  absl::StatusOr<v1::Org> GetOrg(const Caller& caller, const v1::GetOrgRequest& request) const;

  // A change to tier TEAM makes the team `default` if there is none and puts every user in it. Nothing is deleted by
  // any change of tier: what the new one does not include is suspended, and comes back with the old one.
  absl::StatusOr<v1::Org> UpdateOrg(const Caller& caller, const v1::UpdateOrgRequest& request) const;

  // Destroys the keyring first, so that nothing of the org can be opened from then on, whatever happens to the rest.
  absl::StatusOr<google::protobuf::Empty> DeleteOrg(const Caller& caller, const v1::DeleteOrgRequest& request) const;

  absl::StatusOr<v1::OrgEncryption> GetOrgEncryption(const Caller& caller,
                                                     const v1::GetOrgEncryptionRequest& request) const;
  absl::StatusOr<v1::OrgEncryption> RotateOrgDataKey(const Caller& caller,
                                                     const v1::RotateOrgDataKeyRequest& request) const;

 private:
  absl::Status PutEveryUserInDefaultTeam(const storage::StoreView& view, const std::string& org, int64_t now,
                                         storage::Mutation* mutation) const;
  absl::StatusOr<v1::OrgEncryption> Encryption(const std::string& org) const;

  const DirectoryContext context_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_DIRECTORY_ORGS_H_
