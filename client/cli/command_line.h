#ifndef KEYFERRY_CLIENT_CLI_COMMAND_LINE_H_
#define KEYFERRY_CLIENT_CLI_COMMAND_LINE_H_

#include <string>
#include <vector>

#include "client/cli/command.h"
#include "client/cli/outcome.h"

namespace keyferry::client::cli {

// A command line that was understood.
struct ParsedLine {
  // A text to print instead of running anything (--help), or "".
  std::string help;
  // Null if `help` is set.
  const Command* command = nullptr;
  Arguments arguments;
  // By the names of GlobalOptions.
  Arguments globals;
};

// Parses `arguments` (without the program's name) against `tree`, which must outlive the answer. Fails with kUsage. The
// line never repeats an unexpected argument, which may be a value that somebody typed.
Outcome ParseLine(const CommandTree& tree, const std::vector<std::string>& arguments, ParsedLine* parsed);

}  // namespace keyferry::client::cli

#endif  // KEYFERRY_CLIENT_CLI_COMMAND_LINE_H_
