#include "client/cli/browser.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"

extern char** environ;

namespace keyferry::client::cli {
namespace {

#if defined(__APPLE__)
constexpr char kOpener[] = "open";
bool HasDisplay(const Environment&) { return true; }
#else
constexpr char kOpener[] = "xdg-open";
bool HasDisplay(const Environment& environment) {
  for (const char* name : {"DISPLAY", "WAYLAND_DISPLAY"}) {
    const char* value = environment(name);
    if (value != nullptr && *value != '\0') return true;
  }
  return false;
}
#endif

// The characters of RFC 3986 that no opener can take for anything else.
bool IsPlainUrl(const std::string& url) {
  return absl::StartsWith(url, "https://") && std::all_of(url.begin(), url.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains("-._~:/?#[]@!$&()*+,;=%", c);
         });
}

// Owns what posix_spawn is told.
class SpawnSettings {
 public:
  SpawnSettings() {
    posix_spawn_file_actions_init(&actions_);
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
      posix_spawn_file_actions_addopen(&actions_, fd, "/dev/null", fd == STDIN_FILENO ? O_RDONLY : O_WRONLY, 0);
    }
    posix_spawnattr_init(&attributes_);
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK);
  }
  ~SpawnSettings() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;

  const posix_spawn_file_actions_t* actions() const { return &actions_; }
  const posix_spawnattr_t* attributes() const { return &attributes_; }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

}  // namespace

pid_t StartBrowser(const Environment& environment, const std::string& url) {
  if (!HasDisplay(environment) || !IsPlainUrl(url)) return 0;
  std::vector<char*> variables;
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
    if (!absl::StartsWith(*variable, "KEYFERRY_")) variables.push_back(*variable);
  }
  variables.push_back(nullptr);
  std::string opener = kOpener;
  std::string argument = url;
  char* const arguments[] = {opener.data(), argument.data(), nullptr};
  const SpawnSettings settings;
  pid_t pid = 0;
  if (posix_spawnp(&pid, kOpener, settings.actions(), settings.attributes(), arguments, variables.data()) != 0) {
    return 0;
  }
  return pid;
}

}  // namespace keyferry::client::cli
