#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/commands.h"
#include "client/cli/context.h"
#include "client/operator_socket.h"

namespace keyferry::client::cli {
namespace {

using nlohmann::json;

constexpr char kDataDirVariable[] = "KEYFERRYD_DATA_DIR";

Outcome DataDir(const Context& context, const Arguments& arguments, std::string* data_dir) {
  *data_dir = arguments.Text("--data-dir");
  const char* const set = context.streams().environment(kDataDirVariable);
  if (data_dir->empty() && set != nullptr) *data_dir = set;
  if (!data_dir->empty()) return std::nullopt;
  return UsageFailure(absl::StrCat("no data directory: not in --data-dir, not in ", kDataDirVariable,
                                   "; backups are made on the server's machine, as its user"));
}

// What the server takes for a directory, seen from here.
std::string Absolute(const std::string& path) {
  if (path.empty()) return path;
  std::error_code error;
  return std::filesystem::absolute(path, error).string();
}

ExitCode CodeFor(const std::string& code) {
  if (code == "INVALID_ARGUMENT") return ExitCode::kBadData;
  return code == "UNAVAILABLE" ? ExitCode::kUnavailable : ExitCode::kOther;
}

// A text of what the server answered, "" if it is not there.
std::string Text(const json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end()) return "";
  return found->is_string() ? found->get<std::string>() : found->dump();
}

// One request, up to its result. Progress goes to standard error, if that is where a person looks.
Outcome Ask(Context& context, const Arguments& arguments, const json& request, json* result) {
  std::string data_dir;
  KEYFERRY_RETURN_IF_FAILED(DataDir(context, arguments, &data_dir));
  const bool show = context.streams().output_is_terminal;
  json last;
  const absl::Status asked = AskOperatorSocket(data_dir, request.dump(), [&](absl::string_view line) {
    last = json::parse(line.begin(), line.end(), /*cb=*/nullptr, /*allow_exceptions=*/false);
    if (!show || !last.is_object() || !last.contains("progress")) return;
    *context.streams().error << "\r" << Text(last["progress"], "bytes") << " bytes" << std::flush;
  });
  if (show) *context.streams().error << "\r";
  if (absl::IsPermissionDenied(asked)) return Failure{ExitCode::kNotPermitted, std::string(asked.message())};
  if (!asked.ok()) return Failure{ExitCode::kUnavailable, std::string(asked.message())};
  if (last.is_object() && last.contains("result")) {
    *result = last["result"];
    return std::nullopt;
  }
  if (last.is_object() && last.contains("error")) {
    return Failure{CodeFor(Text(last["error"], "code")), Text(last["error"], "message")};
  }
  return Failure{ExitCode::kUnavailable, "the server ended before it had answered: its socket; see its log"};
}

void PrintBackup(const Context& context, const json& backup) {
  context.printer().Facts({{"path", "Backup", Text(backup, "path")},
                           {"backup", "Id", Text(backup, "backup")},
                           {"time", "Made at", Text(backup, "time")},
                           {"store", "Store", Text(backup, "store")},
                           {"entries", "Entries", Text(backup, "entries")},
                           {"bytes", "Bytes", Text(backup, "bytes")}});
}

Outcome Create(Context& context, const Arguments& arguments) {
  json request = {{"command", "backup.create"}};
  if (arguments.Has("--to")) request["directory"] = Absolute(arguments.Text("--to"));
  json result;
  KEYFERRY_RETURN_IF_FAILED(Ask(context, arguments, request, &result));
  PrintBackup(context, result);
  return std::nullopt;
}

Outcome Verify(Context& context, const Arguments& arguments) {
  json result;
  KEYFERRY_RETURN_IF_FAILED(
      Ask(context, arguments, {{"command", "backup.verify"}, {"path", Absolute(arguments.Text("PATH"))}}, &result));
  PrintBackup(context, result);
  return std::nullopt;
}

Outcome Status(Context& context, const Arguments& arguments) {
  json result;
  KEYFERRY_RETURN_IF_FAILED(Ask(context, arguments, {{"command", "backup.status"}}, &result));
  context.printer().Facts({{"directory", "Directory", Text(result, "directory")},
                           {"lastSuccessTime", "Last backup", Text(result, "lastSuccessTime")},
                           {"lastFailureTime", "Last failure", Text(result, "lastFailureTime")},
                           {"lastFailure", "Problem", Text(result, "lastFailure")}});
  return std::nullopt;
}

Outcome List(Context& context, const Arguments& arguments) {
  json request = {{"command", "backup.list"}};
  if (arguments.Has("--to")) request["directory"] = Absolute(arguments.Text("--to"));
  json result;
  KEYFERRY_RETURN_IF_FAILED(Ask(context, arguments, request, &result));
  const json backups = result.contains("backups") ? result["backups"] : json::array();
  const Printer& printer = context.printer();
  if (printer.format() != OutputFormat::kTable) {
    const std::string text = backups.dump(2) + "\n";
    printer.Raw(printer.format() == OutputFormat::kJson ? text : JsonToYaml(text));
    return std::nullopt;
  }
  printer.Raw("TIME                  BYTES         PATH\n");
  const auto cell = [](const json& backup, const char* name) {
    return backup.contains(name) ? Text(backup, name) : std::string("-");
  };
  for (const json& backup : backups) {
    const std::string problem = backup.contains("problem") ? "  " + Text(backup, "problem") : "";
    printer.Raw(PrintableText(absl::StrFormat("%-20s  %-12s  %s%s", cell(backup, "time"), cell(backup, "bytes"),
                                              cell(backup, "path"), problem)) +
                "\n");
  }
  return std::nullopt;
}

}  // namespace

void AddBackupCommands(CommandTree& tree) {
  tree.groups.push_back({"backup", "Back the whole store up, on the server's machine and as its user"});
  const Option data_dir = {"--data-dir", ValueKind::kFile, "DIR",
                           "Data directory of the server that runs (default: KEYFERRYD_DATA_DIR)"};
  const Option to = {"--to", ValueKind::kFile, "DIR",
                     "Directory that holds the backups (default: the server's backup.directory)"};
  const Positional path = {"PATH", "The backup's own directory"};
  tree.commands.push_back({"backup create",
                           "Make a backup while the server runs",
                           "The backup is a directory of its own below DIR, sealed as the store is: it opens with the\n"
                           "KEK alone, and holds nothing that was deleted before. `keyferryd restore` restores it.",
                           {},
                           {to, data_dir},
                           {},
                           Create});
  tree.commands.push_back({"backup list", "List the backups in a directory", "", {}, {to, data_dir}, {}, List});
  tree.commands.push_back(
      {"backup verify",
       "Check that a backup of the server's store is whole and unchanged",
       "`keyferryd restore --check` opens every record as well, and `keyferryd verify-backup` needs\n"
       "no server.",
       {path},
       {data_dir},
       {},
       Verify});
  tree.commands.push_back(
      {"backup status", "Show when the last backup succeeded, and why one failed", "", {}, {data_dir}, {}, Status});
}

}  // namespace keyferry::client::cli
