#include "server/audit/stream_state.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

namespace keyferry::server {
namespace {

using Json = nlohmann::json;

bool ReadHash(const std::string& bytes, storage::Sha256Digest* hash) {
  if (bytes.size() != hash->size()) return false;
  std::copy(bytes.begin(), bytes.end(), hash->begin());
  return true;
}

// A member's text; "" if it is missing or no text.
std::string Text(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

bool ReadLine(const std::string& line, std::string* org, StreamCursor* cursor) {
  const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  std::string hash;
  if (!json.is_object() || json.find("org") == json.end()) return false;
  *org = Text(json, "org");
  return absl::SimpleAtoi(Text(json, "sequence"), &cursor->sequence) &&
         absl::Base64Unescape(Text(json, "hash"), &hash) && ReadHash(hash, &cursor->hash);
}

absl::Status NotAState(const std::string& path) {
  return absl::DataLossError(absl::StrCat(path, " is not the state of an audit stream"));
}

}  // namespace

absl::StatusOr<StreamState> StreamState::Load(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat(path, " cannot be read"));
  std::stringstream text;
  text << file.rdbuf();
  const Json json = Json::parse(text.str(), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("journals") || !json["journals"].is_object()) return NotAState(path);
  StreamState state;
  if (!absl::SimpleAtoi(Text(json, "device"), &state.place.device) ||
      !absl::SimpleAtoi(Text(json, "inode"), &state.place.inode) ||
      !absl::SimpleAtoi(Text(json, "size"), &state.place.size)) {
    return NotAState(path);
  }
  for (const auto& [org, one] : json["journals"].items()) {
    StreamCursor& cursor = state.cursors[org];
    if (!one.is_object() || !absl::SimpleAtoi(Text(one, "sequence"), &cursor.sequence) ||
        !ReadHash(absl::HexStringToBytes(Text(one, "hash")), &cursor.hash)) {
      return NotAState(path);
    }
  }
  return state;
}

absl::Status StreamState::Save(const std::string& path) const {
  Json json = {{"device", absl::StrCat(place.device)},
               {"inode", absl::StrCat(place.inode)},
               {"size", absl::StrCat(place.size)},
               {"journals", Json::object()}};
  for (const auto& [org, cursor] : cursors) {
    json["journals"][org] = {{"sequence", absl::StrCat(cursor.sequence)},
                             {"hash", absl::BytesToHexString(storage::View(cursor.hash))}};
  }
  const std::string text = json.dump() + "\n";
  const std::string next = path + ".next";
  const int fd = open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  bool ok = fd >= 0;
  for (size_t done = 0; ok && done < text.size();) {
    const ssize_t count = write(fd, text.data() + done, text.size() - done);
    if (count < 0 && errno == EINTR) continue;
    ok = count > 0;
    done += ok ? static_cast<size_t>(count) : 0;
  }
  ok = ok && fdatasync(fd) == 0;
  const int error = errno;
  if (fd >= 0) close(fd);
  if (ok && rename(next.c_str(), path.c_str()) == 0) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(path, " cannot be written: ", std::strerror(ok ? errno : error)));
}

absl::Status StreamState::Follow(const std::string& file) {
  std::ifstream lines(file, std::ios::binary);
  lines.seekg(place.size);
  std::string line;
  while (std::getline(lines, line) && !lines.eof()) {
    std::string org;
    StreamCursor cursor;
    if (!ReadLine(line, &org, &cursor)) {
      return absl::DataLossError(absl::StrCat("the audit stream ", file, " has no audit entry at byte ", place.size));
    }
    cursors[org] = cursor;
    place.size += static_cast<int64_t>(line.size()) + 1;
  }
  return absl::OkStatus();
}

}  // namespace keyferry::server
