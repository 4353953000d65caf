#ifndef KEYFERRY_SERVER_COMMAND_LINE_H_
#define KEYFERRY_SERVER_COMMAND_LINE_H_

#include <string>

#include "absl/time/time.h"
#include "absl/types/variant.h"
#include "keyferry/v1/directory.pb.h"
#include "server/config/config.h"

namespace keyferry::server {

// What keyferryd was asked to do.
struct CommandLine {
  enum Command { kServe, kDev, kInit, kVerify, kAudit, kRotateKek, kBackup, kVerifyBackup, kRestore };
  Command command = kServe;
  std::string config_file;
  // Configuration of the file, the environment and the flags together, complete; for kDev without file and defaults.
  config::Config config;
  // For kInit, and kAudit, where "" means the system's journal.
  std::string org;
  // For kInit.
  std::string admin;
  v1::Tier tier = v1::TIER_BUSINESS;
  std::string token_file;
  absl::Duration token_lifetime;
  // Leave a store that has an organization as it is, and make none where backups are.
  bool once = false;
  // With `once`: issue a token all the same.
  bool new_token = false;
  // For kBackup: where to; "" for the configured directory. For kVerifyBackup and kRestore: the backup.
  std::string backup;
  // For kRestore.
  bool check_only = false;
  bool keep_tokens = false;
  // What flags and environment set, over the file, in the order to apply; for a reload.
  std::vector<std::pair<std::string, std::string>> overrides;
};

// Reads the command line and the environment. For --help and --version prints to standard output and returns 0; for a
// wrong command line prints one line to standard error and returns 2; for a configuration that cannot be used, 1.
absl::variant<CommandLine, int> ParseCommandLine(int argc, char** argv);

// The configuration of the file with the overrides of the command line; for a reload.
absl::StatusOr<config::Config> LoadConfig(const CommandLine& command_line);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_COMMAND_LINE_H_
