#ifndef KEYFERRY_CLIENT_CLI_HIDDEN_PROMPT_H_
#define KEYFERRY_CLIENT_CLI_HIDDEN_PROMPT_H_

#include <ostream>
#include <string>

#include "client/cli/outcome.h"
#include "client/secret_text.h"

namespace keyferry::client::cli {

// Asks on a terminal for one line of at most `max_size` bytes, not echoed; the line's newline is not part of the
// answer. The terminal's settings are restored before this returns and before any of SIGINT, SIGTERM, SIGHUP, SIGQUIT
// or SIGTSTP takes its usual effect; after a stop the question is asked again. Not thread-safe: signal dispositions
// belong to the process. kBadData if the line is too long or the input ends.
Outcome HiddenPrompt(int terminal, std::ostream& output, const std::string& question, size_t max_size,
                     SecretText* answer);

}  // namespace keyferry::client::cli

#endif  // KEYFERRY_CLIENT_CLI_HIDDEN_PROMPT_H_
