#include "client/cli/last_backup.h"

#include <nlohmann/json.hpp>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "client/operator_socket.h"

namespace keyferry::client::cli {
namespace {

using nlohmann::json;

struct State {
  std::string time;
  std::string outcome = "UNKNOWN";
  std::string problem;
};

std::string Text(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

State Interpret(const json& result) {
  // The server tells of a failure only as long as no backup has succeeded since.
  if (result.contains("lastFailure")) return {Text(result, "lastFailureTime"), "FAILED", Text(result, "lastFailure")};
  if (result.contains("lastSuccessTime")) return {Text(result, "lastSuccessTime"), "SUCCEEDED", ""};
  return {"", "NONE", ""};
}

State Ask(const std::string& data_dir) {
  json last;
  const absl::Status asked = AskOperatorSocket(data_dir, R"({"command":"backup.status"})", [&](absl::string_view line) {
    last = json::parse(line.begin(), line.end(), /*cb=*/nullptr, /*allow_exceptions=*/false);
  });
  State unknown;
  unknown.problem = asked.ok() ? "the server ended before it had answered" : std::string(asked.message());
  if (!asked.ok() || !last.is_object() || !last.contains("result") || !last["result"].is_object()) return unknown;
  return Interpret(last["result"]);
}

std::string Line(const State& state) {
  if (state.outcome == "NONE") return "none";
  if (state.outcome == "SUCCEEDED") return absl::StrCat(state.time, ", succeeded");
  if (state.outcome == "FAILED") return absl::StrCat(state.time, ", failed: ", state.problem);
  return absl::StrCat("unknown: ", state.problem);
}

}  // namespace

std::vector<Fact> LastBackup(const std::string& data_dir, OutputFormat format) {
  const State state = Ask(data_dir);
  if (format == OutputFormat::kTable) return {{"lastBackup", "Last backup", Line(state)}};
  return {{"lastBackupTime", "", state.time},
          {"lastBackupOutcome", "", state.outcome},
          {"lastBackupProblem", "", state.problem}};
}

}  // namespace keyferry::client::cli
