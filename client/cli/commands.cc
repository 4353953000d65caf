#include "client/cli/commands.h"

namespace keyferry::client::cli {

CommandTree AllCommands() {
  CommandTree tree;
  AddCredentialCommands(tree);
  AddProcessCommands(tree);
  AddMcpServerCommands(tree);
  AddInjectCommand(tree);
  AddOauthProviderCommands(tree);
  AddConnectCommand(tree);
  AddConnectionCommands(tree);
  AddDirectoryCommands(tree);
  AddWorkloadCommands(tree);
  AddTokenCommands(tree);
  AddSessionCommands(tree);
  AddOrgCommands(tree);
  AddAuditCommands(tree);
  AddBackupCommands(tree);
  AddToolCommands(tree);
  return tree;
}

Option YesOption() { return {"-y,--yes", ValueKind::kFlag, "", "Do not ask for confirmation"}; }

}  // namespace keyferry::client::cli
