#ifndef KEYFERRY_CLIENT_CLI_COMMANDS_H_
#define KEYFERRY_CLIENT_CLI_COMMANDS_H_

#include "client/cli/command.h"

namespace keyferry::client::cli {

// Each adds its group and commands.
void AddAuditCommands(CommandTree& tree);
void AddBackupCommands(CommandTree& tree);
void AddConnectCommand(CommandTree& tree);
void AddConnectionCommands(CommandTree& tree);
void AddCredentialCommands(CommandTree& tree);
// Of the group `credential`, called by AddCredentialCommands.
void AddCredentialFileCommands(CommandTree& tree);
void AddCredentialListCommands(CommandTree& tree);
void AddDirectoryCommands(CommandTree& tree);
// Of pods.
void AddInjectCommand(CommandTree& tree);
void AddMcpServerCommands(CommandTree& tree);
void AddOauthProviderCommands(CommandTree& tree);
void AddOrgCommands(CommandTree& tree);
// process, and the rollout of a credential.
void AddProcessCommands(CommandTree& tree);
void AddSessionCommands(CommandTree& tree);
void AddTokenCommands(CommandTree& tree);
void AddWorkloadCommands(CommandTree& tree);
// status, completion and version.
void AddToolCommands(CommandTree& tree);

// All commands of `keyferry`.
CommandTree AllCommands();

// Shared by commands that delete.
Option YesOption();

}  // namespace keyferry::client::cli

#endif  // KEYFERRY_CLIENT_CLI_COMMANDS_H_
