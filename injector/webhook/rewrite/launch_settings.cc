#include "injector/webhook/rewrite/launch_settings.h"

#include <cstddef>
#include <string>

#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "injector/supervise/signal_names.h"
#include "injector/webhook/rewrite/setting_forms.h"

namespace keyferry::injector::webhook {
namespace {

constexpr char kFlagForm[] = "give true or false";
constexpr char kDurationForm[] = "give a duration from 0s to 24h, such as 30s";

bool TakeFlag(absl::string_view value, bool* flag) {
  *flag = value == "true";
  return *flag || value == "false";
}

bool TakeDuration(absl::string_view value, std::string* text, absl::Duration shortest = absl::ZeroDuration()) {
  *text = std::string(value);
  return IsDuration(value, shortest, absl::Hours(24));
}

bool TakeOnRotate(absl::string_view value, LaunchCall* call) {
  call->on_rotate = std::string(value);
  for (const char* const policy : {"mcp", "restart", "exit", "ignore"}) {
    if (value == policy) return true;
  }
  return absl::ConsumePrefix(&value, "signal:") && SignalNumber(value) != 0;
}

// Each is an argument of every command that is wrapped.
constexpr size_t kMostUnset = 64;

// Names with spaces between: commas divide what is for one container from what is for the next.
bool TakeUnset(absl::string_view value, LaunchCall* call) {
  call->unset.clear();
  for (const absl::string_view name : absl::StrSplit(value, absl::ByAnyChar(" \t\n"), absl::SkipEmpty())) {
    if (!IsEnvironmentName(name) || call->unset.size() == kMostUnset) return false;
    call->unset.emplace_back(name);
  }
  return !call->unset.empty();
}

// In the order in which docs/webhook.md has them.
constexpr LaunchSetting kSettings[] = {
    {"supervise", kFlagForm,
     [](absl::string_view value, LaunchCall* call) { return TakeFlag(value, &call->supervise); }},
    {"on-rotate", "give mcp, restart, signal:NAME, exit or ignore", TakeOnRotate},
    {"rotation", "give overlap or serial",
     [](absl::string_view value, LaunchCall* call) {
       call->rotation = std::string(value);
       return value == "overlap" || value == "serial";
     }},
    {"splay", kDurationForm,
     [](absl::string_view value, LaunchCall* call) { return TakeDuration(value, &call->splay); }},
    {"debounce", kDurationForm,
     [](absl::string_view value, LaunchCall* call) { return TakeDuration(value, &call->debounce); }},
    {"drain-timeout", kDurationForm,
     [](absl::string_view value, LaunchCall* call) { return TakeDuration(value, &call->drain_timeout); }},
    {"initialize-timeout", "give a duration from 1ms to 24h, such as 30s",
     [](absl::string_view value, LaunchCall* call) {
       return TakeDuration(value, &call->initialize_timeout, absl::Milliseconds(1));
     }},
    {"stop-timeout", kDurationForm,
     [](absl::string_view value, LaunchCall* call) { return TakeDuration(value, &call->stop_timeout); }},
    {"redact", kFlagForm, [](absl::string_view value, LaunchCall* call) { return TakeFlag(value, &call->redact); }},
    {"clean-env", kFlagForm,
     [](absl::string_view value, LaunchCall* call) { return TakeFlag(value, &call->clean_env); }},
    {"unset", "give up to 64 names of environment variables, with spaces between", TakeUnset},
};

}  // namespace

absl::Span<const LaunchSetting> LaunchSettings() { return kSettings; }

bool NeedsSupervision(const LaunchCall& call) {
  for (const std::string* const text : {&call.on_rotate, &call.rotation, &call.splay, &call.debounce,
                                        &call.drain_timeout, &call.initialize_timeout, &call.stop_timeout}) {
    if (!text->empty()) return true;
  }
  return !call.redact;
}

}  // namespace keyferry::injector::webhook
