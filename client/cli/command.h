#ifndef KEYFERRY_CLIENT_CLI_COMMAND_H_
#define KEYFERRY_CLIENT_CLI_COMMAND_H_

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "client/cli/outcome.h"

namespace keyferry::client::cli {

class Context;

// What kind of text an option or argument takes; checked while the command line is parsed.
enum class ValueKind {
  // No value: given or not given.
  kFlag,
  kText,
  // Completed as a file name.
  kFile,
  // ParseDurationText.
  kDuration,
  // ParseTimeText.
  kTime,
  // ParsePastTimeText.
  kPastTime,
};

struct Option {
  // "--team", or "-f,--file" with a short form.
  std::string name;
  ValueKind kind = ValueKind::kText;
  // How the value is called in help texts.
  std::string value_name;
  std::string help;
  // If not empty, the only values allowed.
  std::vector<std::string> choices;
  bool required = false;
  bool repeated = false;

  // "--file" of "-f,--file".
  std::string LongName() const;
};

struct Positional {
  // "NAME".
  std::string name;
  std::string help;
  std::vector<std::string> choices;
  bool repeated = false;
  // May be left out; only the last one of a command.
  bool optional = false;
};

// What was given on the command line, by Option::LongName and Positional::name.
class Arguments {
 public:
  bool Has(const std::string& name) const { return values_.count(name) != 0; }
  // The last value, "" if not given.
  const std::string& Text(const std::string& name) const;
  std::vector<std::string> Texts(const std::string& name) const;
  // Of an option whose kind is kDuration or kTime and that was given.
  absl::Duration Duration(const std::string& name) const;
  absl::Time Time(const std::string& name) const;

  void Set(const std::string& name, std::vector<std::string> values) { values_[name] = std::move(values); }

 private:
  std::map<std::string, std::vector<std::string>> values_;
};

// One command. Help, parsing and completions are all made from this description.
struct Command {
  // "credential create".
  std::string path;
  // One line.
  std::string summary;
  // More for its own --help: rules and an example.
  std::string details;
  std::vector<Positional> positionals;
  std::vector<Option> options;
  // At most one option of each set may be given.
  std::vector<std::vector<std::string>> exclusive;
  std::function<Outcome(Context&, const Arguments&)> run;
};

// A word that commands start with, e.g. "credential".
struct CommandGroup {
  std::string name;
  std::string summary;
};

struct CommandTree {
  std::vector<CommandGroup> groups;
  std::vector<Command> commands;
};

// Options that every command takes, before or after its name.
const std::vector<Option>& GlobalOptions();

// "90s", "1h30m", "7d", "0".
bool ParseDurationText(const std::string& text, absl::Duration* duration);
// "2027-01-31" (its first moment in UTC) or "2027-01-31T10:00:00Z".
bool ParseTimeText(const std::string& text, absl::Time* time);
// The same, or a duration ("90d"): so long before `now`.
bool ParsePastTimeText(const std::string& text, absl::Time now, absl::Time* time);

}  // namespace keyferry::client::cli

#endif  // KEYFERRY_CLIENT_CLI_COMMAND_H_
