#ifndef KEYFERRY_CLIENT_CLI_CONNECTION_SCOPE_H_
#define KEYFERRY_CLIENT_CLI_CONNECTION_SCOPE_H_

#include <string>
#include <vector>

#include "client/cli/command.h"
#include "client/cli/context.h"

namespace keyferry::client::cli {

// What the commands of connections have in common.

// --me, --team and --org-wide, of which at most one may be given.
std::vector<Option> ConnectionScopeOptions();
const std::vector<std::vector<std::string>>& ConnectionScopesExclude();

// The resource name of the scope that the options mean: the calling user unless they say otherwise.
Outcome ConnectionParent(Context& context, const Arguments& arguments, std::string* parent);

// The resource name of the connection that PROVIDER and the options mean; PROVIDER may be a full resource name of a
// connection. kBadData for any other form.
Outcome ConnectionName(Context& context, const Arguments& arguments, std::string* name);

// The id of the provider of a connection's resource name.
std::string ProviderIdOf(const std::string& connection);

// One option, NAME=VALUE, and its values put into a map; kUsage for another form or a name given twice.
Option VariableOption(const std::string& help);
template <typename Map>
Outcome ReadVariables(const Arguments& arguments, Map* variables) {
  for (const std::string& text : arguments.Texts("--var")) {
    const size_t equals = text.find('=');
    // Not shown: it may have been meant for something else.
    if (equals == 0 || equals == std::string::npos) {
      return UsageFailure("not of the form NAME=VALUE: --var; give e.g. --var tenant=acme");
    }
    const std::string name = text.substr(0, equals);
    if (!variables->insert({name, text.substr(equals + 1)}).second) {
      return UsageFailure("--var gives a variable twice: " + name + "; give each once");
    }
  }
  return std::nullopt;
}

}  // namespace keyferry::client::cli

#endif  // KEYFERRY_CLIENT_CLI_CONNECTION_SCOPE_H_
