// The configuration file of the agent.
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "injector/agent/agent_options.h"
#include "injector/agent/container_options.h"
#include "yaml-cpp/yaml.h"

namespace keyferry::injector::agent {
namespace {

class Reader {
 public:
  Reader(const std::string& name, AgentOptions& options) : name_(name), options_(options) {}

  absl::Status Read(const std::string& text) {
    try {
      const YAML::Node root = YAML::Load(text);
      if (!root.IsMap()) return At(root.Mark(), "must be a map with the key `containers`");
      for (const auto& entry : root) {
        if (absl::Status status = ReadEntry(entry.first.as<std::string>(), entry.second); !status.ok()) {
          return At(entry.first.Mark(), std::string(status.message()));
        }
      }
      return absl::OkStatus();
    } catch (const YAML::Exception& error) {
      return At(error.mark, error.msg);
    }
  }

 private:
  absl::Status ReadEntry(const std::string& key, const YAML::Node& value) {
    if (key == "containers") {
      if (!value.IsSequence()) return absl::InvalidArgumentError("`containers` must be a list");
      for (const YAML::Node& container : value) {
        if (absl::Status status = ReadContainer(container); !status.ok()) return status;
      }
      return absl::OkStatus();
    }
    if (!value.IsScalar()) return absl::InvalidArgumentError(absl::StrCat("`", key, "` must be a text"));
    const std::string text = value.as<std::string>();
    if (key == "maxStale") return ReadAgentDuration("`maxStale`", text, options_.max_stale);
    if (key == "drainTimeout") return ReadAgentDuration("`drainTimeout`", text, options_.drain_timeout);
    if (key == "controlDirectory") {
      options_.control_directory = text;
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(
        absl::StrCat("unknown key `", key, "`; known are containers, maxStale, drainTimeout and controlDirectory"));
  }

  absl::Status ReadContainer(const YAML::Node& node) {
    if (!node.IsMap()) return absl::InvalidArgumentError("a container must be a map");
    ContainerOptions& container = options_.containers.emplace_back();
    for (const auto& entry : node) {
      const std::string key = entry.first.as<std::string>();
      if (!entry.second.IsScalar()) return absl::InvalidArgumentError(absl::StrCat("`", key, "` must be a text"));
      const absl::Status status =
          SetContainerOption(KeySpelling::kFile, key, entry.second.as<std::string>(), container);
      if (!status.ok())
        return absl::InvalidArgumentError(absl::StrCat("container ", container.name, ": ", status.message()));
    }
    return absl::OkStatus();
  }

  absl::Status At(const YAML::Mark& mark, const std::string& problem) const {
    return absl::InvalidArgumentError(absl::StrCat("the agent's configuration is wrong: ", name_, ":", mark.line + 1,
                                                   ":", mark.column + 1, ": ", problem, "; correct it"));
  }

  const std::string& name_;
  AgentOptions& options_;
};

}  // namespace

absl::Status ReadAgentConfig(const std::string& text, const std::string& name, AgentOptions& options) {
  return Reader(name, options).Read(text);
}

}  // namespace keyferry::injector::agent
