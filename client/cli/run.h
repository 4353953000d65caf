#ifndef KEYFERRY_CLIENT_CLI_RUN_H_
#define KEYFERRY_CLIENT_CLI_RUN_H_

#include <string>
#include <vector>

#include "client/cli/streams.h"

namespace keyferry::client::cli {

// Runs one command line (without the program's name) and answers the exit code. A failure is one line on
// `streams.error`: "keyferry: what: where; next step".
int Run(const std::vector<std::string>& arguments, const Streams& streams);

}  // namespace keyferry::client::cli

#endif  // KEYFERRY_CLIENT_CLI_RUN_H_
