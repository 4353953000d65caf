#ifndef KEYFERRY_CLIENT_CLI_BROWSER_H_
#define KEYFERRY_CLIENT_CLI_BROWSER_H_

#include <sys/types.h>

#include <string>

#include "client/connection_options.h"

namespace keyferry::client::cli {

// Starts the desktop's own opener (xdg-open, or open on macOS) with `url`, in a session of its own, without a shell,
// without this process's standard streams and without KEYFERRY_ variables. Answers its process id, which nobody has to
// wait for, or 0 if there is no display, no opener, or `url` is not an https URL of plain characters.
pid_t StartBrowser(const Environment& environment, const std::string& url);

}  // namespace keyferry::client::cli

#endif  // KEYFERRY_CLIENT_CLI_BROWSER_H_
