#include "server/oauth/protocol/expiry.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace keyferry::server {
namespace {

constexpr absl::Duration kMaxLifetime = absl::Hours(24 * 365 * 100);
constexpr absl::Duration kMaxRetryAfter = absl::Hours(24);
// RFC 9110, section 5.6.7; the last two are obsolete and still to be read.
constexpr const char* kHttpDates[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"};

bool ParseNumber(absl::string_view text, double* number) {
  return absl::SimpleAtod(absl::StripAsciiWhitespace(text), number) && std::isfinite(*number);
}

bool ParseDate(absl::string_view text, absl::Time* date) {
  std::string error;
  const std::string trimmed(absl::StripAsciiWhitespace(text));
  for (const char* format : {"%Y-%m-%d%ET%H:%M:%E*S%Ez", "%Y-%m-%d%ET%H:%M:%E*S", "%Y-%m-%d %H:%M:%E*S%Ez",
                             "%Y-%m-%d %H:%M:%E*S", "%Y-%m-%d"}) {
    if (absl::ParseTime(format, trimmed, absl::UTCTimeZone(), date, &error)) return true;
  }
  return false;
}

// "01:00:00": hours, minutes and seconds.
bool ParseClock(absl::string_view text, absl::Duration* duration) {
  const std::vector<absl::string_view> parts = absl::StrSplit(text, ':');
  double hours, minutes, seconds;
  if (parts.size() != 3 || !ParseNumber(parts[0], &hours) || !ParseNumber(parts[1], &minutes) ||
      !ParseNumber(parts[2], &seconds)) {
    return false;
  }
  *duration = absl::Hours(hours) + absl::Minutes(minutes) + absl::Seconds(seconds);
  return true;
}

// ISO 8601-1, section 5.5.2.2: "P1DT2H3M4.5S". Years and months have no fixed length and are not read.
bool ParseIsoDuration(absl::string_view text, absl::Duration* duration) {
  if (text.empty() || absl::ascii_toupper(text[0]) != 'P') return false;
  bool in_time = false, any = false;
  absl::string_view rest = text.substr(1);
  *duration = absl::ZeroDuration();
  while (!rest.empty()) {
    if (absl::ascii_toupper(rest[0]) == 'T' && !in_time) {
      in_time = true;
      rest.remove_prefix(1);
      continue;
    }
    size_t digits = 0;
    while (digits < rest.size() && (absl::ascii_isdigit(rest[digits]) || rest[digits] == '.')) ++digits;
    double number;
    if (digits == 0 || digits == rest.size() || !ParseNumber(rest.substr(0, digits), &number)) return false;
    const char unit = static_cast<char>(absl::ascii_toupper(rest[digits]));
    if (!in_time && unit == 'W')
      *duration += absl::Hours(number * 24 * 7);
    else if (!in_time && unit == 'D')
      *duration += absl::Hours(number * 24);
    else if (in_time && unit == 'H')
      *duration += absl::Hours(number);
    else if (in_time && unit == 'M')
      *duration += absl::Minutes(number);
    else if (in_time && unit == 'S')
      *duration += absl::Seconds(number);
    else
      return false;
    any = true;
    rest.remove_prefix(digits + 1);
  }
  return any;
}

bool Parse(absl::string_view text, v1::OauthExpiryFormat format, absl::Time now, absl::Duration* lifetime) {
  double number = 0;
  absl::Time date;
  switch (format) {
    case v1::OAUTH_EXPIRY_FORMAT_DATE:
      if (!ParseDate(text, &date)) return false;
      *lifetime = date - now;
      return true;
    case v1::OAUTH_EXPIRY_FORMAT_DURATION:
      return ParseIsoDuration(text, lifetime) || ParseClock(text, lifetime);
    default:
      break;
  }
  if (!ParseNumber(text, &number)) return false;
  switch (format) {
    case v1::OAUTH_EXPIRY_FORMAT_MILLISECONDS:
      *lifetime = absl::Milliseconds(number);
      return true;
    case v1::OAUTH_EXPIRY_FORMAT_UNIX_SECONDS:
      *lifetime = absl::UnixEpoch() + absl::Seconds(number) - now;
      return true;
    case v1::OAUTH_EXPIRY_FORMAT_UNIX_MILLISECONDS:
      *lifetime = absl::UnixEpoch() + absl::Milliseconds(number) - now;
      return true;
    default:
      *lifetime = absl::Seconds(number);
      return true;
  }
}

}  // namespace

absl::Duration LifetimeOf(absl::string_view text, v1::OauthExpiryFormat format, absl::Time now) {
  absl::Duration lifetime;
  if (!Parse(absl::StripAsciiWhitespace(text), format, now, &lifetime)) return absl::InfiniteDuration();
  return lifetime <= absl::ZeroDuration() || lifetime > kMaxLifetime ? absl::InfiniteDuration() : lifetime;
}

absl::Duration ParseRetryAfter(absl::string_view text, absl::Time now) {
  const std::string trimmed(absl::StripAsciiWhitespace(text));
  absl::Duration wait = absl::ZeroDuration();
  double seconds;
  if (ParseNumber(trimmed, &seconds)) {
    wait = absl::Seconds(seconds);
  } else {
    for (const char* format : kHttpDates) {
      absl::Time date;
      std::string error;
      if (absl::ParseTime(format, trimmed, absl::UTCTimeZone(), &date, &error)) wait = date - now;
    }
  }
  return std::min(std::max(wait, absl::ZeroDuration()), kMaxRetryAfter);
}

}  // namespace keyferry::server
