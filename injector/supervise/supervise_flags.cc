#include "injector/supervise/supervise_flags.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "injector/supervise/signal_names.h"

namespace keyferry::injector {
namespace {

constexpr absl::Duration kShortestTimeout = absl::Seconds(1);
constexpr absl::Duration kLongestTimeout = absl::Hours(1);
constexpr absl::Duration kLongestSuperviseTime = absl::Hours(24);

absl::Status ReadDuration(absl::string_view flag, const std::string& text, absl::Duration shortest,
                          absl::Duration& result) {
  if (text.empty()) return absl::OkStatus();
  if (absl::ParseDuration(text, &result) && result >= shortest && result <= kLongestSuperviseTime) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(flag, " takes a duration from ", absl::FormatDuration(shortest),
                                                 " to 24h, such as 500ms, 30s or 2m"));
}

absl::Status ReadPolicy(const std::string& text, SuperviseOptions& options) {
  static constexpr std::pair<const char*, OnRotate> kPolicies[] = {{"mcp", OnRotate::kMcp},
                                                                   {"restart", OnRotate::kRestart},
                                                                   {"exit", OnRotate::kExit},
                                                                   {"ignore", OnRotate::kIgnore}};
  if (text.empty()) return absl::OkStatus();
  for (const auto& [name, policy] : kPolicies) {
    if (text != name) continue;
    options.on_rotate = policy;
    return absl::OkStatus();
  }
  absl::string_view name = text;
  if (!absl::ConsumePrefix(&name, "signal:") || (options.signal = SignalNumber(name)) == 0) {
    return absl::InvalidArgumentError(
        "--on-rotate takes mcp, restart, signal:NAME with the name of a signal such as HUP, exit or ignore");
  }
  options.on_rotate = OnRotate::kSignal;
  return absl::OkStatus();
}

absl::Status ReadRotation(const std::string& text, SuperviseOptions& options) {
  if (text == "serial") options.rotation = Rotation::kSerial;
  if (text.empty() || text == "serial" || text == "overlap") return absl::OkStatus();
  return absl::InvalidArgumentError("--rotation takes overlap or serial");
}

}  // namespace

bool SuperviseFlags::any() const {
  for (const std::string* text :
       {&on_rotate, &rotation, &drain_timeout, &initialize_timeout, &stop_timeout, &debounce, &splay}) {
    if (!text->empty()) return true;
  }
  return no_redact;
}

absl::StatusOr<SuperviseOptions> ReadSuperviseFlags(const SuperviseFlags& flags) {
  SuperviseOptions options;
  options.redact = !flags.no_redact;
  for (const absl::Status& status :
       {ReadPolicy(flags.on_rotate, options), ReadRotation(flags.rotation, options),
        ReadDuration("--drain-timeout", flags.drain_timeout, absl::ZeroDuration(), options.drain_timeout),
        ReadDuration("--initialize-timeout", flags.initialize_timeout, absl::Milliseconds(1),
                     options.initialize_timeout),
        ReadDuration("--stop-timeout", flags.stop_timeout, absl::ZeroDuration(), options.stop_timeout),
        ReadDuration("--debounce", flags.debounce, absl::ZeroDuration(), options.debounce),
        ReadDuration("--splay", flags.splay, absl::ZeroDuration(), options.splay)}) {
    if (!status.ok()) return status;
  }
  return options;
}

absl::Status ReadStartupTimeout(const std::string& text, absl::Duration& result) {
  if (absl::ParseDuration(text, &result) && result >= kShortestTimeout && result <= kLongestTimeout) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError("--startup-timeout takes a duration from 1s to 1h, such as 30s or 2m");
}

absl::Status CheckUnset(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (name.empty() || name.find('=') != std::string::npos) {
      return absl::InvalidArgumentError("--unset takes the name of one environment variable");
    }
  }
  return absl::OkStatus();
}

}  // namespace keyferry::injector
