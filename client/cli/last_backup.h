#ifndef KEYFERRY_CLIENT_CLI_LAST_BACKUP_H_
#define KEYFERRY_CLIENT_CLI_LAST_BACKUP_H_

#include <string>
#include <vector>

#include "client/cli/printer.h"

namespace keyferry::client::cli {

// What became of the last backup of the server that runs on the data directory of this machine: in a table one line,
// else its time, outcome (SUCCEEDED, FAILED, NONE or UNKNOWN) and problem.
std::vector<Fact> LastBackup(const std::string& data_dir, OutputFormat format);

}  // namespace keyferry::client::cli

#endif  // KEYFERRY_CLIENT_CLI_LAST_BACKUP_H_
