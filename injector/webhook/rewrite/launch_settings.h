#ifndef KEYFERRY_INJECTOR_WEBHOOK_REWRITE_LAUNCH_SETTINGS_H_
#define KEYFERRY_INJECTOR_WEBHOOK_REWRITE_LAUNCH_SETTINGS_H_

#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "injector/webhook/rewrite/agent_interface.h"

namespace keyferry::injector::webhook {

// An annotation that says how a container's command is launched: an option of keyferry-launch with the same values.
struct LaunchSetting {
  // Without the prefix of all annotations.
  const char* name;
  // What is to be given, for the refusal of another value.
  const char* meant;
  // Sets it. False for a value that is not taken; `call` is not to be used then.
  bool (*take)(absl::string_view value, LaunchCall* call);
};

absl::Span<const LaunchSetting> LaunchSettings();

// Whether something is set that a launcher which does not stay cannot do, and the names of all such settings.
bool NeedsSupervision(const LaunchCall& call);
inline constexpr char kSupervisionSettings[] =
    "on-rotate, rotation, drain-timeout, initialize-timeout, stop-timeout, debounce, splay and redact";

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_REWRITE_LAUNCH_SETTINGS_H_
