#include "server/backups/operator_requests.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

using nlohmann::json;

std::string TimeText(absl::Time time) { return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone()); }

json ManifestJson(const std::string& path, const storage::BackupManifest& manifest) {
  return {{"path", path},
          {"backup", manifest.backup_id},
          {"store", manifest.store_id},
          {"time", TimeText(manifest.time)},
          {"entries", manifest.entries},
          {"bytes", manifest.TotalBytes()}};
}

// A text of the request; "" if it is not there.
absl::StatusOr<std::string> Text(const json& request, const char* name) {
  const auto found = request.find(name);
  if (found == request.end()) return std::string();
  if (!found->is_string()) return absl::InvalidArgumentError(absl::StrCat("`", name, "` is no text; make it one"));
  return found->get<std::string>();
}

absl::Status Create(Backups* backups, const json& request, const OperatorSocket::Send& send, json* answer) {
  ASSIGN_OR_RETURN(const std::string directory, Text(request, "directory"));
  // A backup goes on although nobody watches it any more.
  bool watched = true;
  const auto show = [&send, &watched](const storage::BackupProgress& progress) {
    json line;
    line["progress"]["entries"] = progress.entries;
    line["progress"]["bytes"] = progress.bytes;
    if (watched) watched = send(line.dump());
  };
  ASSIGN_OR_RETURN(const storage::BackupResult result, backups->Create(directory, show));
  *answer = ManifestJson(result.path, result.manifest);
  return absl::OkStatus();
}

absl::Status List(Backups* backups, const json& request, json* answer) {
  ASSIGN_OR_RETURN(const std::string directory, Text(request, "directory"));
  ASSIGN_OR_RETURN(const std::vector<storage::ListedBackup> listed, backups->List(directory));
  json all = json::array();
  for (const storage::ListedBackup& backup : listed) {
    json one = {{"path", backup.path}};
    if (backup.manifest.ok()) {
      one = ManifestJson(backup.path, *backup.manifest);
    } else {
      one["problem"] = std::string(backup.manifest.status().message());
    }
    all.push_back(std::move(one));
  }
  (*answer)["backups"] = std::move(all);
  return absl::OkStatus();
}

absl::Status Verify(Backups* backups, const json& request, json* answer) {
  ASSIGN_OR_RETURN(const std::string path, Text(request, "path"));
  if (path.empty()) return absl::InvalidArgumentError("`path` is empty; name the directory of a backup");
  ASSIGN_OR_RETURN(const storage::BackupManifest manifest, backups->Verify(path));
  *answer = ManifestJson(path, manifest);
  return absl::OkStatus();
}

json Status(const Backups& backups) {
  const BackupState state = backups.state();
  json result = {{"directory", backups.settings().directory}};
  const absl::Time newest =
      backups.settings().directory.empty() ? state.last_success : std::max(state.last_success, backups.NewestTime());
  if (newest != absl::InfinitePast()) result["lastSuccessTime"] = TimeText(newest);
  if (!state.last_failure.ok()) {
    result["lastFailureTime"] = TimeText(state.last_failure_time);
    result["lastFailure"] = std::string(state.last_failure.message());
  }
  return result;
}

absl::Status Answer(Backups* backups, const std::string& text, const OperatorSocket::Send& send, json* answer) {
  const json request = json::parse(text, /*cb=*/nullptr, /*allow_exceptions=*/false);
  if (!request.is_object()) return absl::InvalidArgumentError("the request is no JSON object; send one on one line");
  ASSIGN_OR_RETURN(const std::string command, Text(request, "command"));
  if (command == "backup.create") return Create(backups, request, send, answer);
  if (command == "backup.list") return List(backups, request, answer);
  if (command == "backup.verify") return Verify(backups, request, answer);
  if (command != "backup.status") {
    return absl::InvalidArgumentError("the command is not known; use a `keyferry` of the server's release");
  }
  *answer = Status(*backups);
  return absl::OkStatus();
}

// JSON holds UTF-8 only, and names of files may be anything.
std::string Dump(const json& object) {
  return object.dump(/*indent=*/-1, /*indent_char=*/' ', /*ensure_ascii=*/false, json::error_handler_t::replace);
}

}  // namespace

void AnswerOperator(Backups* backups, const std::string& request, const OperatorSocket::Send& send) {
  json line;
  json result;
  const absl::Status status = Answer(backups, request, send, &result);
  if (status.ok()) {
    line["result"] = std::move(result);
  } else {
    line["error"]["code"] = absl::StatusCodeToString(status.code());
    line["error"]["message"] = std::string(status.message());
  }
  send(Dump(line));
}

}  // namespace keyferry::server
