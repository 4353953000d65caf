#include "client/cli/command_line.h"

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <utility>

#include "CLI/CLI.hpp"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "client/utf8.h"
#include "client/version.h"

namespace keyferry::client::cli {
namespace {

constexpr char kDescription[] =
    "Keeps the secrets that MCP servers and agents need, and never shows them again.\n"
    "Values are read from standard input, --from-file or a hidden prompt, never from the command line.";

constexpr char kEnvironmentHelp[] =
    "Settings come from flags, then the environment (KEYFERRY_ADDRESS, KEYFERRY_CA_FILE, KEYFERRY_TOKEN_FILE,\n"
    "KEYFERRY_ORG, KEYFERRY_CLIENT_CERT_FILE, KEYFERRY_CLIENT_KEY_FILE, KEYFERRY_PROFILE), then a profile of\n"
    "~/.config/keyferry/config.yaml.\n";

std::string VersionText() { return absl::StrCat("keyferry ", kClientVersion); }

// Where CLI11 puts one option's or argument's values.
struct Slot {
  std::string name;
  std::vector<std::string> values;
  bool flag = false;
  CLI::Option* option = nullptr;
};

std::string CheckChoice(const std::vector<std::string>& choices, const std::string& text) {
  if (choices.empty() || std::find(choices.begin(), choices.end(), text) != choices.end()) return "";
  return absl::StrCat("must be one of ", absl::StrJoin(choices, ", "));
}

// Whether a word that should have been a command is one that can be shown.
bool LooksLikeCommand(const std::string& word) {
  return word.size() <= 24 &&
         std::all_of(word.begin(), word.end(), [](char c) { return c == '-' || ('a' <= c && c <= 'z'); });
}

std::string CheckValue(ValueKind kind, const std::string& text) {
  absl::Duration duration;
  absl::Time time;
  if (kind == ValueKind::kDuration && !ParseDurationText(text, &duration)) {
    return "must be a duration such as 90s, 24h or 7d";
  }
  if (kind == ValueKind::kTime && text != "none" && !ParseTimeText(text, &time)) {
    return "must be a date such as 2027-01-31";
  }
  if (kind == ValueKind::kPastTime && !ParsePastTimeText(text, absl::UnixEpoch(), &time)) {
    return "must be a date such as 2027-01-31 or a duration such as 90d";
  }
  return "";
}

class Builder {
 public:
  explicit Builder(const CommandTree& tree) : tree_(tree), root_(std::make_unique<CLI::App>(kDescription, "keyferry")) {
    root_->require_subcommand(1);
    root_->set_version_flag("--version", VersionText(), "Print the version and exit");
    root_->footer(absl::StrCat(kEnvironmentHelp, "\n", ExitCodeHelp()));
    for (const Option& option : GlobalOptions()) AddOption(*root_, option, globals_);
    for (const CommandGroup& group : tree.groups) {
      CLI::App* app = root_->add_subcommand(group.name, group.summary);
      app->require_subcommand(1)->fallthrough();
      groups_[group.name] = app;
    }
    for (const Command& command : tree.commands) AddCommand(command);
  }

  CLI::App& root() { return *root_; }

  const Command* Chosen() const {
    for (const auto& [app, command] : commands_) {
      if (app->parsed()) return command;
    }
    return nullptr;
  }

  Arguments Globals() const { return Collect(globals_); }
  Arguments ArgumentsOf(const Command* command) const { return Collect(slots_.at(command)); }

 private:
  using Slots = std::deque<Slot>;

  void AddCommand(const Command& command) {
    const std::vector<std::string> words = absl::StrSplit(command.path, ' ');
    CLI::App& parent = words.size() == 1 ? *root_ : *groups_.at(words[0]);
    CLI::App* app = parent.add_subcommand(words.back(), command.summary);
    app->fallthrough();
    if (!command.details.empty()) app->footer(command.details);
    Slots& slots = slots_[&command];
    for (const Positional& positional : command.positionals) AddPositional(*app, positional, slots);
    std::map<std::string, CLI::Option*> by_name;
    for (const Option& option : command.options) by_name[option.LongName()] = AddOption(*app, option, slots);
    for (const std::vector<std::string>& names : command.exclusive) {
      for (size_t i = 0; i < names.size(); ++i) {
        for (size_t j = 0; j < i; ++j) by_name.at(names[i])->excludes(by_name.at(names[j]));
      }
    }
    commands_.emplace_back(app, &command);
  }

  static CLI::Option* AddOption(CLI::App& app, const Option& option, Slots& slots) {
    Slot& slot = slots.emplace_back();
    slot.name = option.LongName();
    if (option.kind == ValueKind::kFlag) {
      slot.option = app.add_flag(option.name, slot.flag, option.help);
      return slot.option;
    }
    slot.option = app.add_option(option.name, slot.values, option.help)->type_name(option.value_name)->type_size(1);
    slot.option->expected(1)->allow_extra_args(false)->required(option.required);
    slot.option->multi_option_policy(option.repeated ? CLI::MultiOptionPolicy::TakeAll : CLI::MultiOptionPolicy::Throw);
    if (option.repeated) slot.option->expected(1, 1000)->allow_extra_args(false);
    Choices(slot, option.choices);
    const ValueKind kind = option.kind;
    slot.option->check(CLI::Validator([kind](std::string& text) { return CheckValue(kind, text); }, ""));
    return slot.option;
  }

  static void AddPositional(CLI::App& app, const Positional& positional, Slots& slots) {
    Slot& slot = slots.emplace_back();
    slot.name = positional.name;
    slot.option = app.add_option(positional.name, slot.values, positional.help)->type_name("");
    slot.option->required(!positional.optional);
    if (positional.repeated) {
      slot.option->expected(1, 1000);
    } else {
      slot.option->expected(1)->allow_extra_args(false);
    }
    Choices(slot, positional.choices);
  }

  static void Choices(Slot& slot, const std::vector<std::string>& choices) {
    if (choices.empty()) return;
    slot.option->type_name(absl::StrJoin(choices, "|"));
    slot.option->check(CLI::Validator([choices](std::string& text) { return CheckChoice(choices, text); }, ""));
  }

  static Arguments Collect(const Slots& slots) {
    Arguments arguments;
    for (const Slot& slot : slots) {
      if (slot.option->count() > 0) arguments.Set(slot.name, slot.values);
    }
    return arguments;
  }

  const CommandTree& tree_;
  const std::unique_ptr<CLI::App> root_;
  std::map<std::string, CLI::App*> groups_;
  std::vector<std::pair<CLI::App*, const Command*>> commands_;
  std::map<const Command*, Slots> slots_;
  Slots globals_;
};

// The words of the command that were understood, for "keyferry credential create --help".
std::string ChosenPath(const CLI::App& root) {
  std::string path = "keyferry";
  const CLI::App* app = &root;
  for (;;) {
    const std::vector<CLI::App*> chosen = app->get_subcommands();
    if (chosen.empty()) return path;
    app = chosen[0];
    absl::StrAppend(&path, " ", app->get_name());
  }
}

Failure Unexpected(const CLI::App& root, bool is_command, const std::vector<std::string>& extras) {
  const std::string path = ChosenPath(root);
  const std::string see = absl::StrCat("see `", path, " --help`");
  for (const std::string& extra : extras) {
    if (absl::StartsWith(extra, "-") && extra.size() > 1) {
      return UsageFailure(absl::StrCat("unknown option ", extra.substr(0, extra.find('=')), ": ", path, "; ", see));
    }
  }
  if (!is_command) {
    const std::string word = !extras.empty() && LooksLikeCommand(extras[0]) ? " " + extras[0] : "";
    return UsageFailure(absl::StrCat("unknown command: ", path, word, "; ", see));
  }
  const bool takes_value = absl::EndsWith(path, "credential create") || absl::EndsWith(path, "credential rotate");
  return UsageFailure(absl::StrCat("unexpected argument (not shown, since it may be a secret): ", path, "; ",
                                   takes_value ? "a value is never given on the command line: write it to standard "
                                                 "input, or use --from-file"
                                               : see));
}

}  // namespace

Outcome ParseLine(const CommandTree& tree, const std::vector<std::string>& arguments, ParsedLine* parsed) {
  for (const std::string& argument : arguments) {
    if (FindInvalidUtf8(argument) != absl::string_view::npos) {
      return UsageFailure("an argument is not UTF-8 text: command line; values go to standard input");
    }
  }
  Builder builder(tree);
  CLI::App& root = builder.root();
  try {
    // CLI11 takes its arguments from the back.
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
    root.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    parsed->help = root.help();
    return std::nullopt;
  } catch (const CLI::CallForVersion&) {
    parsed->help = absl::StrCat(VersionText(), "\n");
    return std::nullopt;
  } catch (const CLI::ExtrasError&) {
    return Unexpected(root, builder.Chosen() != nullptr, root.remaining(/*recurse=*/true));
  } catch (const CLI::ParseError& error) {
    const std::vector<std::string> extras = root.remaining(/*recurse=*/true);
    if (!extras.empty()) return Unexpected(root, builder.Chosen() != nullptr, extras);
    const std::string path = ChosenPath(root);
    std::string what = error.what();
    if (what == "A subcommand is required") what = "no command given";
    std::replace(what.begin(), what.end(), '\n', ' ');
    return UsageFailure(absl::StrCat(what, ": ", path, "; see `", path, " --help`"));
  }
  parsed->command = builder.Chosen();
  parsed->globals = builder.Globals();
  parsed->arguments = builder.ArgumentsOf(parsed->command);
  return std::nullopt;
}

}  // namespace keyferry::client::cli
