#ifndef KEYFERRY_SERVER_DIRECTORY_USERS_H_
#define KEYFERRY_SERVER_DIRECTORY_USERS_H_

#include <utility>

#include "absl/status/statusor.h"
#include "google/protobuf/empty.pb.h"
#include "keyferry/v1/directory.pb.h"
#include "server/credentials/parent_counts.h"
#include "server/directory/common.h"
#include "server/identity/caller.h"

namespace keyferry::server {

// The rules of DirectoryService for users. Thread-safe. An org always keeps at least one user of role ADMIN.
class UserRules {
 public:
  // Of one org; more answer RESOURCE_EXHAUSTED with reason TOO_MANY. Members of a team are users, so this bounds them.
  static constexpr int kMaxUsers = 50000;

  explicit UserRules(DirectoryContext context)
      : context_(std::move(context)), own_counts_(context_.store, storage::Table::kUser, kMaxUsers, "users") {}

  // On tier TEAM the user also joins the team `default`.
  absl::StatusOr<v1::User> CreateUser(const Caller& caller, const v1::CreateUserRequest& request) const;
  absl::StatusOr<v1::User> GetUser(const Caller& caller, const v1::GetUserRequest& request) const;
  // Those that the caller may see: an ADMIN all, a user only themselves.
  absl::StatusOr<v1::ListUsersResponse> ListUsers(const Caller& caller, const v1::ListUsersRequest& request) const;
  absl::StatusOr<v1::User> UpdateUser(const Caller& caller, const v1::UpdateUserRequest& request) const;
  // In one commit with the memberships, tokens and personal credentials.
  absl::StatusOr<google::protobuf::Empty> DeleteUser(const Caller& caller, const v1::DeleteUserRequest& request) const;

 private:
  const DirectoryContext context_;
  mutable ParentCounts own_counts_;
};

// FAILED_PRECONDITION with reason LAST_ADMIN if nobody but `user` is ADMIN.
absl::Status CheckNotLastAdmin(const storage::StoreView& view, const std::string& org, const std::string& user);

// Adds a new user, on tier TEAM also to the team `default`. Whatever a write that raced with the deletion of an earlier
// user of this id has left is deleted.
absl::Status StageNewUser(const DirectoryContext& context, const storage::StoreView& view, v1::Tier tier,
                          const std::string& org, const storage::records::UserRecord& user,
                          storage::Mutation* mutation);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_DIRECTORY_USERS_H_
