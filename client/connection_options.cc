#include "client/connection_options.h"

#include <sys/stat.h>

#include <exception>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/files.h"
#include "yaml-cpp/yaml.h"

namespace keyferry::client {
namespace {

constexpr size_t kMaxProfileFile = 1024 * 1024;

struct Setting {
  std::string ConnectionOptions::*member;
  const char* flag;
  const char* variable;
  const char* profile_key;
  bool is_file;
};

constexpr Setting kSettings[] = {
    {&ConnectionOptions::address, "--address", "KEYFERRY_ADDRESS", "address", false},
    {&ConnectionOptions::ca_file, "--ca-file", "KEYFERRY_CA_FILE", "caFile", true},
    {&ConnectionOptions::token_file, "--token-file", "KEYFERRY_TOKEN_FILE", "tokenFile", true},
    {&ConnectionOptions::org, "--org", "KEYFERRY_ORG", "org", false},
    {&ConnectionOptions::client_cert_file, "--client-cert-file", "KEYFERRY_CLIENT_CERT_FILE", "clientCertFile", true},
    {&ConnectionOptions::client_key_file, "--client-key-file", "KEYFERRY_CLIENT_KEY_FILE", "clientKeyFile", true},
};

const Setting& SettingOf(std::string ConnectionOptions::*member) {
  for (const Setting& setting : kSettings) {
    if (setting.member == member) return setting;
  }
  std::terminate();
}

std::string Value(const Environment& environment, const char* name) {
  const char* value = environment(name);
  return value == nullptr ? "" : value;
}

absl::Status Missing(absl::string_view what, std::string ConnectionOptions::*member, const ConnectionOptions& options) {
  const Setting& setting = SettingOf(member);
  return absl::InvalidArgumentError(absl::StrCat("no ", what, ": looked at ", setting.flag, ", ", setting.variable,
                                                 " and ", options.profile_searched, "; set ", setting.variable,
                                                 " or give ", setting.flag));
}

// Where the profile file is, or "" if there is no home folder.
std::string ProfilePath(const Environment& environment) {
  const std::string config = Value(environment, "XDG_CONFIG_HOME");
  if (!config.empty()) return config + "/keyferry/config.yaml";
  const std::string home = Value(environment, "HOME");
  return home.empty() ? "" : home + "/.config/keyferry/config.yaml";
}

std::string FileName(const std::string& text, const std::string& profile_path, const Environment& environment) {
  if (absl::StartsWith(text, "~/")) return Value(environment, "HOME") + text.substr(1);
  if (text.empty() || text[0] == '/') return text;
  return profile_path.substr(0, profile_path.rfind('/') + 1) + text;
}

class ProfileFile {
 public:
  ProfileFile(std::string path, const Environment& environment) : path_(std::move(path)), environment_(environment) {}

  // Fills what `options` still lacks from the profile that it names, or from the default one.
  absl::Status Apply(const std::string& text, ConnectionOptions& options) const {
    try {
      const YAML::Node root = YAML::Load(text);
      if (root.IsNull()) return NoProfile(options, {});
      if (!root.IsMap()) return Wrong(root, "must hold the keys `defaultProfile` and `profiles`");
      for (const auto& entry : root) {
        const std::string key = entry.first.as<std::string>();
        if (key != "profiles" && key != "defaultProfile") return Wrong(entry.first, "unknown key `" + key + "`");
      }
      const YAML::Node profiles = root["profiles"];
      if (!profiles || !profiles.IsMap()) return Wrong(root, "`profiles` must be a map of profiles by name");
      const YAML::Node default_profile = root["defaultProfile"];
      if (options.profile.empty() && default_profile) options.profile = default_profile.as<std::string>();
      return ApplyNamed(profiles, options);
    } catch (const YAML::Exception& error) {
      return At(error.mark, error.msg);
    }
  }

 private:
  absl::Status ApplyNamed(const YAML::Node& profiles, ConnectionOptions& options) const {
    std::vector<std::string> names;
    for (const auto& entry : profiles) {
      names.push_back(entry.first.as<std::string>());
      if (names.back() == options.profile) return ApplyProfile(entry.second, options);
    }
    return NoProfile(options, names);
  }

  absl::Status ApplyProfile(const YAML::Node& profile, ConnectionOptions& options) const {
    if (!profile.IsMap()) return Wrong(profile, "a profile must be a map");
    for (const auto& entry : profile) {
      const std::string key = entry.first.as<std::string>();
      const Setting* setting = nullptr;
      for (const Setting& candidate : kSettings) {
        if (key == candidate.profile_key) setting = &candidate;
      }
      if (setting == nullptr) return Wrong(entry.first, "unknown key `" + key + "`");
      if (!entry.second.IsScalar()) return Wrong(entry.second, "`" + key + "` must be a text");
      std::string& value = options.*(setting->member);
      if (!value.empty()) continue;
      value = entry.second.as<std::string>();
      if (setting->is_file) value = FileName(value, path_, environment_);
    }
    options.profile_searched = absl::StrCat("profile `", options.profile, "` of ", path_);
    return absl::OkStatus();
  }

  absl::Status NoProfile(ConnectionOptions& options, const std::vector<std::string>& names) const {
    if (options.profile.empty()) {
      options.profile_searched = absl::StrCat(path_, " (which names no defaultProfile)");
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(
        absl::StrCat("no profile `", options.profile, "`: ", path_, "; ",
                     names.empty() ? "it has none" : absl::StrCat("it has: ", absl::StrJoin(names, ", "))));
  }

  absl::Status Wrong(const YAML::Node& node, const std::string& problem) const { return At(node.Mark(), problem); }

  absl::Status At(const YAML::Mark& mark, const std::string& problem) const {
    return absl::InvalidArgumentError(absl::StrCat("the profile file is wrong: ", path_, ":", mark.line + 1, ":",
                                                   mark.column + 1, ": ", problem, "; correct it"));
  }

  const std::string path_;
  const Environment& environment_;
};

absl::Status ReadProfile(const Environment& environment, ConnectionOptions& options) {
  const bool named = !options.profile.empty();
  const std::string path = ProfilePath(environment);
  struct stat info;
  const bool absent = path.empty() || stat(path.c_str(), &info) != 0;
  if (absent) {
    options.profile_searched = path.empty() ? "no profile file (HOME is not set)" : path + " (no such file)";
    if (!named) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat("no profile `", options.profile, "`: looked in ",
                                                   options.profile_searched,
                                                   "; write the file or unset --profile "
                                                   "and KEYFERRY_PROFILE"));
  }
  absl::StatusOr<std::string> text = ReadOwnFile(path, "profile file", kMaxProfileFile);
  if (!text.ok()) return text.status();
  return ProfileFile(path, environment).Apply(*text, options);
}

}  // namespace

absl::StatusOr<ConnectionOptions> LoadConnectionOptions(const ConnectionOptions& flags,
                                                        const Environment& environment) {
  ConnectionOptions options = flags;
  for (const Setting& setting : kSettings) {
    std::string& value = options.*(setting.member);
    if (value.empty()) value = Value(environment, setting.variable);
  }
  if (options.profile.empty()) options.profile = Value(environment, "KEYFERRY_PROFILE");
  const bool complete =
      !options.address.empty() && !options.ca_file.empty() && !options.token_file.empty() && !options.org.empty();
  if (!complete || !options.profile.empty()) {
    absl::Status read = ReadProfile(environment, options);
    if (!read.ok()) return read;
  }
  if (options.address.empty()) return Missing("server address", &ConnectionOptions::address, options);
  if (options.client_cert_file.empty() != options.client_key_file.empty()) {
    return options.client_key_file.empty()
               ? Missing("key for the client certificate", &ConnectionOptions::client_key_file, options)
               : Missing("certificate for the client key", &ConnectionOptions::client_cert_file, options);
  }
  if (options.token_file.empty() && options.client_cert_file.empty()) {
    return Missing("API token", &ConnectionOptions::token_file, options);
  }
  return options;
}

absl::Status RequireOrg(const ConnectionOptions& options) {
  if (!options.org.empty()) return absl::OkStatus();
  return Missing("organization", &ConnectionOptions::org, options);
}

}  // namespace keyferry::client
