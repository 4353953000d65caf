#include "injector/agent/container_options.h"

#include <cstdint>
#include <limits>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace keyferry::injector::agent {
namespace {

constexpr absl::Duration kLongest = absl::Hours(24 * 30);
constexpr size_t kMostContainers = 64;

// A key as the flag has it and as the configuration file does; `text` is null where the value is not simply a text.
struct Key {
  absl::string_view flag;
  absl::string_view file;
  std::string ContainerOptions::*text;
};
constexpr Key kKeys[] = {
    {"name", "name", &ContainerOptions::name},
    {"directory", "directory", &ContainerOptions::directory},
    {"mcp-server", "mcpServer", &ContainerOptions::mcp_server},
    {"team", "team", &ContainerOptions::team},
    {"session-file", "sessionFile", &ContainerOptions::session_file},
    {"allow-partial", "allowPartial", nullptr},
    {"uid", "uid", nullptr},
};

absl::string_view Spelt(const Key& key, KeySpelling spelling) {
  return spelling == KeySpelling::kFlag ? key.flag : key.file;
}

absl::Status SetUid(const std::string& value, ContainerOptions& container) {
  uint32_t uid = 0;
  if (!absl::SimpleAtoi(value, &uid) || uid == std::numeric_limits<uint32_t>::max()) {
    return absl::InvalidArgumentError("`uid` must be the number of a user");
  }
  container.uid = uid;
  return absl::OkStatus();
}

}  // namespace

absl::Status SetContainerOption(KeySpelling spelling, absl::string_view key, const std::string& value,
                                ContainerOptions& container) {
  std::vector<absl::string_view> known;
  for (const Key& one : kKeys) {
    known.push_back(Spelt(one, spelling));
    if (known.back() != key) continue;
    if (one.flag == "uid") return SetUid(value, container);
    if (one.text == nullptr) {
      if (absl::SimpleAtob(value, &container.allow_partial)) return absl::OkStatus();
      return absl::InvalidArgumentError(absl::StrCat("`", key, "` must be true or false"));
    }
    if (value.empty()) return absl::InvalidArgumentError(absl::StrCat("`", key, "` is empty"));
    container.*one.text = value;
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("unknown key `", key, "`; known are ", absl::StrJoin(known, ", ")));
}

absl::Status ReadContainerFlag(const std::string& text, ContainerOptions& container) {
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    const std::pair<std::string, std::string> option = absl::StrSplit(part, absl::MaxSplits('=', 1));
    const absl::Status status = SetContainerOption(KeySpelling::kFlag, option.first, option.second, container);
    if (!status.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--container takes KEY=VALUE,... such as name=github,directory=/run/keyferry/github,"
                       "mcp-server=github: ",
                       status.message()));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckContainers(const AgentOptions& options) {
  if (options.containers.empty()) {
    return absl::InvalidArgumentError("which containers? Name each with --container, or all in the file of --config");
  }
  if (options.containers.size() > kMostContainers) {
    return absl::InvalidArgumentError(absl::StrCat("more than ", kMostContainers, " containers are too many"));
  }
  std::set<std::string> names;
  std::set<std::string> directories = {options.control_directory};
  for (const ContainerOptions& container : options.containers) {
    if (container.name.empty()) return absl::InvalidArgumentError("a container has no `name`");
    if (!names.insert(container.name).second) {
      return absl::InvalidArgumentError(absl::StrCat("two containers have the name ", container.name));
    }
    if (container.directory.empty() || container.mcp_server.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("container ", container.name, " needs a directory and an MCP server"));
    }
    if (!directories.insert(container.directory).second) {
      return absl::InvalidArgumentError(absl::StrCat("container ", container.name, " shares the directory ",
                                                     container.directory, "; give each its own"));
    }
  }
  return absl::OkStatus();
}

absl::Status ReadAgentDuration(absl::string_view option, const std::string& text, absl::Duration& result) {
  if (absl::ParseDuration(text, &result) && result >= absl::ZeroDuration() && result <= kLongest) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(option, " takes a duration from 0 to 720h, such as 30s or 24h"));
}

}  // namespace keyferry::injector::agent
