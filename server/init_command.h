#ifndef KEYFERRY_SERVER_INIT_COMMAND_H_
#define KEYFERRY_SERVER_INIT_COMMAND_H_

#include "absl/status/status.h"
#include "server/command_line.h"

namespace keyferry::server {

// `keyferryd init`: makes what is missing of the KEK file, the store, the organization and its ADMIN, and issues a
// token for them, to the file or to standard output.
//
// With `once` a store that has an organization stays as it is, unless `new_token` asks for a token; and none is made
// where backups are, since then one is lost: FAILED_PRECONDITION, and nothing is changed.
absl::Status Init(const CommandLine& command_line);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_INIT_COMMAND_H_
