#ifndef KEYFERRY_SERVER_DIRECTORY_TOKENS_H_
#define KEYFERRY_SERVER_DIRECTORY_TOKENS_H_

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "google/protobuf/empty.pb.h"
#include "keyferry/v1/tokens.pb.h"
#include "server/directory/common.h"
#include "server/identity/caller.h"
#include "storage/crypto/secret_bytes.h"

namespace keyferry::server {

// The rules of TokenService. Thread-safe. An ADMIN manages the tokens of every principal of the org, a user their own.
//
// A token that a principal makes for itself ends no later than the token that it presented, so that a leaked
// short-lived token cannot be turned into a lasting one. Tokens made by an ADMIN for others have the lifetime asked
// for.
class TokenRules {
 public:
  explicit TokenRules(DirectoryContext context) : context_(std::move(context)) {}

  // The response holds the token's text: wipe it.
  absl::StatusOr<v1::CreateTokenResponse> CreateToken(const Caller& caller,
                                                      const v1::CreateTokenRequest& request) const;
  absl::StatusOr<v1::ListTokensResponse> ListTokens(const Caller& caller, const v1::ListTokensRequest& request) const;
  absl::StatusOr<google::protobuf::Empty> RevokeToken(const Caller& caller,
                                                      const v1::RevokeTokenRequest& request) const;
  absl::StatusOr<v1::Caller> GetCaller(const Caller& caller, const v1::GetCallerRequest& request) const;

 private:
  const DirectoryContext context_;
};

// Makes and stores a token for `principal`, whose record stands at `revision`; what has expired of the principal's
// tokens is removed. Asks nobody for permission. CONFLICT if the principal changed meanwhile.
struct IssuedToken {
  storage::SecretBytes text;
  v1::Token metadata;
};
absl::StatusOr<IssuedToken> IssueToken(const DirectoryContext& context, const Caller& caller,
                                       const storage::StoreView& view, const ParentName& principal,
                                       storage::Revision revision, absl::string_view display_name,
                                       absl::string_view creator, absl::Time expire_time);

// The revision of a user's, service's or workload's record. NOT_FOUND if there is none.
absl::StatusOr<storage::Revision> FindPrincipal(const storage::StoreView& view, const ParentName& principal);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_DIRECTORY_TOKENS_H_
