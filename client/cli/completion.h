#ifndef KEYFERRY_CLIENT_CLI_COMPLETION_H_
#define KEYFERRY_CLIENT_CLI_COMPLETION_H_

#include <string>

#include "client/cli/command.h"

namespace keyferry::client::cli {

// Scripts that complete commands, options, choices and file names, made from the tree, without calling `keyferry`.
// bash: `source <(keyferry completion bash)`.
std::string BashCompletion(const CommandTree& tree);
// zsh: `keyferry completion zsh > "${fpath[1]}/_keyferry"`.
std::string ZshCompletion(const CommandTree& tree);

}  // namespace keyferry::client::cli

#endif  // KEYFERRY_CLIENT_CLI_COMPLETION_H_
