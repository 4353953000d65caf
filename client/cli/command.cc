#include "client/cli/command.h"

#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"

namespace keyferry::client::cli {

std::string Option::LongName() const {
  const size_t comma = name.rfind(',');
  return comma == std::string::npos ? name : name.substr(comma + 1);
}

const std::string& Arguments::Text(const std::string& name) const {
  static const std::string* const kEmpty = new std::string();
  const auto found = values_.find(name);
  return found == values_.end() || found->second.empty() ? *kEmpty : found->second.back();
}

std::vector<std::string> Arguments::Texts(const std::string& name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::vector<std::string>() : found->second;
}

absl::Duration Arguments::Duration(const std::string& name) const {
  absl::Duration duration;
  ParseDurationText(Text(name), &duration);
  return duration;
}

absl::Time Arguments::Time(const std::string& name) const {
  absl::Time time;
  ParseTimeText(Text(name), &time);
  return time;
}

const std::vector<Option>& GlobalOptions() {
  static const auto* const kOptions = new std::vector<Option>{
      {"--address", ValueKind::kText, "HOST:PORT", "Server to talk to (KEYFERRY_ADDRESS)"},
      {"--ca-file", ValueKind::kFile, "FILE", "PEM certificates to trust (KEYFERRY_CA_FILE; default: the system's)"},
      {"--token-file", ValueKind::kFile, "FILE", "File that holds the API token (KEYFERRY_TOKEN_FILE)"},
      {"--client-cert-file", ValueKind::kFile, "FILE", "PEM client certificate (KEYFERRY_CLIENT_CERT_FILE)"},
      {"--client-key-file", ValueKind::kFile, "FILE", "PEM key of the client certificate (KEYFERRY_CLIENT_KEY_FILE)"},
      {"--org", ValueKind::kText, "ID", "Organization (KEYFERRY_ORG)"},
      {"--profile", ValueKind::kText, "NAME", "Profile of ~/.config/keyferry/config.yaml (KEYFERRY_PROFILE)"},
      {"--timeout", ValueKind::kDuration, "DURATION", "Longest time for each call, e.g. 10s (default: 30s)"},
      {"-o,--output",
       ValueKind::kText,
       "FORMAT",
       "Output format; json and yaml are the API's JSON mapping",
       {"json", "yaml", "table"}},
  };
  return *kOptions;
}

bool ParseDurationText(const std::string& text, absl::Duration* duration) {
  int64_t days = 0;
  if (!text.empty() && text.back() == 'd' &&
      absl::SimpleAtoi(absl::string_view(text).substr(0, text.size() - 1), &days)) {
    *duration = absl::Hours(24) * days;
    return days >= 0;
  }
  return absl::ParseDuration(text, duration) && *duration >= absl::ZeroDuration() &&
         *duration < absl::InfiniteDuration();
}

bool ParseTimeText(const std::string& text, absl::Time* time) {
  std::string error;
  return absl::ParseTime("%Y-%m-%d", text, absl::UTCTimeZone(), time, &error) ||
         absl::ParseTime(absl::RFC3339_full, text, time, &error);
}

bool ParsePastTimeText(const std::string& text, absl::Time now, absl::Time* time) {
  absl::Duration duration;
  if (!ParseDurationText(text, &duration)) return ParseTimeText(text, time);
  *time = now - duration;
  return true;
}

}  // namespace keyferry::client::cli
