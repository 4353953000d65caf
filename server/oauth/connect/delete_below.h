#ifndef KEYFERRY_SERVER_OAUTH_CONNECT_DELETE_BELOW_H_
#define KEYFERRY_SERVER_OAUTH_CONNECT_DELETE_BELOW_H_

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "storage/store.h"

namespace keyferry::server {

// Adds the deletion of every connection below `parent` of the org ("users/ada"), and of what is being connected, with
// the revocation of their tokens. Errors are the store's.
absl::Status DeleteConnectionsBelow(const storage::StoreView& view, const std::string& org, const std::string& parent,
                                    absl::Time now, storage::Mutation* mutation);

// Adds the deletion of one connection: its record, token, lease and usage. Its tokens are revoked if it and its
// provider are there. The record must still be as in `view` at the commit.
absl::Status DeleteConnectionRecords(const storage::StoreView& view, const std::string& org, const std::string& parent,
                                     const std::string& provider, absl::Time now, storage::Mutation* mutation);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_CONNECT_DELETE_BELOW_H_
