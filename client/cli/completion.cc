#include "client/cli/completion.h"

#include <map>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

namespace keyferry::client::cli {
namespace {

// Text between single quotes of a shell.
std::string Quoted(const std::string& text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "'\\''"}}), "'");
}

// Words that may follow a path ("" for the first word) and the options there.
struct Node {
  std::vector<std::string> words;
  std::vector<Option> options;
};

std::map<std::string, Node> Nodes(const CommandTree& tree) {
  std::map<std::string, Node> nodes;
  for (const CommandGroup& group : tree.groups) nodes[""].words.push_back(group.name);
  for (const Command& command : tree.commands) {
    const std::vector<std::string> path = absl::StrSplit(command.path, ' ');
    nodes[path.size() == 1 ? "" : path[0]].words.push_back(path.back());
    Node& node = nodes[command.path];
    node.options = command.options;
    for (const Positional& positional : command.positionals) {
      node.words.insert(node.words.end(), positional.choices.begin(), positional.choices.end());
    }
  }
  return nodes;
}

std::vector<std::string> OptionWords(const std::vector<Option>& options) {
  std::vector<std::string> words;
  for (const Option& option : options) {
    for (const absl::string_view name : absl::StrSplit(option.name, ',')) words.emplace_back(name);
  }
  return words;
}

// The pattern of a `case` that matches any of an option's names below a path.
std::string OptionPattern(const std::string& path, const Option& option) {
  std::vector<std::string> patterns;
  for (const std::string& name : OptionWords({option})) patterns.push_back(Quoted(absl::StrCat(path, " ", name)));
  return absl::StrJoin(patterns, "|");
}

std::string ValueCase(const std::string& pattern, const Option& option) {
  if (option.kind == ValueKind::kFlag) return "";
  std::string action = ":";
  if (option.kind == ValueKind::kFile) action = "mapfile -t COMPREPLY < <(compgen -f -- \"$current\")";
  if (!option.choices.empty()) {
    action = absl::StrCat("mapfile -t COMPREPLY < <(compgen -W ", Quoted(absl::StrJoin(option.choices, " ")),
                          " -- \"$current\")");
  }
  return absl::StrCat("    ", pattern, ") ", action, "; return ;;\n");
}

constexpr char kBashHead[] = R"(# bash completion of keyferry, made by `keyferry completion bash`.
_keyferry() {
  local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}" path='' word skip='' words='' options=''
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if [[ -n $skip ]]; then skip=''; continue; fi
    case "$word" in
)";

constexpr char kBashWalk[] = R"(      -*) continue ;;
    esac
    case "${path:+$path }$word" in
)";

constexpr char kBashValues[] = R"(    esac
  done
  case "$path $previous" in
)";

constexpr char kBashGlobalValues[] = R"(  esac
  case " $previous" in
)";

constexpr char kBashWords[] = R"(  esac
  case "$path" in
)";

constexpr char kBashTail[] = R"(  esac
  [[ $current == -* ]] && words="$options"
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -F _keyferry keyferry
)";

}  // namespace

std::string BashCompletion(const CommandTree& tree) {
  const std::map<std::string, Node> nodes = Nodes(tree);
  std::string script = kBashHead;
  std::set<std::string> with_value;
  auto remember = [&with_value](const std::vector<Option>& options) {
    for (const Option& option : options) {
      if (option.kind == ValueKind::kFlag) continue;
      for (const std::string& name : OptionWords({option})) with_value.insert(name);
    }
  };
  remember(GlobalOptions());
  for (const auto& [path, node] : nodes) remember(node.options);
  absl::StrAppend(&script, "      ", absl::StrJoin(with_value, "|"), ") skip=1; continue ;;\n", kBashWalk);
  for (const auto& [path, node] : nodes) {
    if (!path.empty()) absl::StrAppend(&script, "      ", Quoted(path), ") path=", Quoted(path), " ;;\n");
  }
  absl::StrAppend(&script, kBashValues);
  for (const auto& [path, node] : nodes) {
    for (const Option& option : node.options) absl::StrAppend(&script, ValueCase(OptionPattern(path, option), option));
  }
  absl::StrAppend(&script, kBashGlobalValues);
  for (const Option& option : GlobalOptions()) absl::StrAppend(&script, ValueCase(OptionPattern("", option), option));
  absl::StrAppend(&script, kBashWords);
  const std::string globals = absl::StrJoin(OptionWords(GlobalOptions()), " ");
  for (const auto& [path, node] : nodes) {
    const std::string options = absl::StrCat(absl::StrJoin(OptionWords(node.options), " "), " ", globals, " --help");
    absl::StrAppend(&script, "    ", Quoted(path), ") words=", Quoted(absl::StrJoin(node.words, " ")),
                    " options=", Quoted(options), " ;;\n");
  }
  return script + kBashTail;
}

namespace {

// An option's specification for _arguments.
std::string ZshOption(const Option& option) {
  std::string value;
  if (option.kind != ValueKind::kFlag) {
    value = absl::StrCat(":", absl::StrReplaceAll(option.value_name, {{":", "\\:"}}), ":");
    if (option.kind == ValueKind::kFile) absl::StrAppend(&value, "_files");
    if (!option.choices.empty()) absl::StrAppend(&value, "(", absl::StrJoin(option.choices, " "), ")");
  }
  const std::string help =
      absl::StrCat("[", absl::StrReplaceAll(option.help, {{"[", "\\["}, {"]", "\\]"}, {":", "\\:"}}), "]");
  std::string specs;
  for (const std::string& name : OptionWords({option})) {
    absl::StrAppend(&specs, " ", Quoted(absl::StrCat(option.repeated ? "*" : "", name, help, value)));
  }
  return specs;
}

std::string ZshDescribed(const std::string& word, const std::string& summary) {
  return " " + Quoted(absl::StrCat(word, ":", absl::StrReplaceAll(summary, {{":", "\\:"}})));
}

// The words after `path`, with their summaries.
std::string ZshWords(const CommandTree& tree, const std::string& group) {
  std::string words;
  if (group.empty()) {
    for (const CommandGroup& candidate : tree.groups) words += ZshDescribed(candidate.name, candidate.summary);
  }
  for (const Command& command : tree.commands) {
    const std::vector<std::string> path = absl::StrSplit(command.path, ' ');
    const bool below = group.empty() ? path.size() == 1 : path.size() == 2 && path[0] == group;
    if (below) words += ZshDescribed(path.back(), command.summary);
  }
  return words;
}

std::string ZshArguments(const Command& command) {
  std::string arguments;
  for (const Option& option : command.options) arguments += ZshOption(option);
  for (const Positional& positional : command.positionals) {
    const std::string action =
        positional.choices.empty() ? "" : absl::StrCat("(", absl::StrJoin(positional.choices, " "), ")");
    const std::string prefix = positional.repeated ? "*:" : positional.optional ? "::" : ":";
    arguments += " " + Quoted(absl::StrCat(prefix, positional.name, ":", action));
  }
  return arguments;
}

}  // namespace

std::string ZshCompletion(const CommandTree& tree) {
  std::string globals;
  for (const Option& option : GlobalOptions()) globals += ZshOption(option);
  std::string script = absl::StrCat(
      "#compdef keyferry\n# zsh completion of keyferry, made by `keyferry completion zsh`.\n_keyferry() {\n"
      "  local -a globals words_here\n  local context state state_descr line\n  typeset -A opt_args\n  globals=(",
      globals,
      ")\n  _arguments -C $globals '1: :->first' '*:: :->rest' && return\n"
      "  if [[ $state == first ]]; then\n    words_here=(",
      ZshWords(tree, ""), ")\n    _describe command words_here\n    return\n  fi\n  case $words[1] in\n");
  for (const CommandGroup& group : tree.groups) {
    absl::StrAppend(&script, "    ", group.name, ")\n      if (( CURRENT == 2 )); then\n        words_here=(",
                    ZshWords(tree, group.name),
                    ")\n        _describe command words_here\n        return\n      fi\n"
                    "      shift words\n      (( CURRENT-- ))\n      case $words[1] in\n");
    for (const Command& command : tree.commands) {
      const std::vector<std::string> path = absl::StrSplit(command.path, ' ');
      if (path.size() != 2 || path[0] != group.name) continue;
      absl::StrAppend(&script, "        ", path[1], ") _arguments $globals", ZshArguments(command), " ;;\n");
    }
    absl::StrAppend(&script, "      esac\n      ;;\n");
  }
  for (const Command& command : tree.commands) {
    if (absl::StrContains(command.path, ' ')) continue;
    absl::StrAppend(&script, "    ", command.path, ") _arguments $globals", ZshArguments(command), " ;;\n");
  }
  return absl::StrCat(script,
                      "  esac\n}\nif [[ $funcstack[1] == _keyferry ]]; then\n  _keyferry \"$@\"\nelse\n"
                      "  compdef _keyferry keyferry\nfi\n");
}

}  // namespace keyferry::client::cli
