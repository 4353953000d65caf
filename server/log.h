#ifndef KEYFERRY_SERVER_LOG_H_
#define KEYFERRY_SERVER_LOG_H_

#include <initializer_list>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace keyferry::server {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// "debug", "info", "warning" or "error"; INVALID_ARGUMENT otherwise.
absl::StatusOr<LogLevel> ParseLogLevel(absl::string_view text);

// One member of a log line. Numbers are written as JSON numbers. Never a value, token or key.
struct LogField {
  LogField(absl::string_view name, absl::string_view text) : name(name), text(text) {}
  LogField(absl::string_view name, const char* text) : name(name), text(text) {}
  LogField(absl::string_view name, const std::string& text) : name(name), text(text) {}
  LogField(absl::string_view name, int64_t number) : name(name), number(number), is_number(true) {}

  absl::string_view name;
  absl::string_view text;
  int64_t number = 0;
  bool is_number = false;
};

// Writes structured lines. Thread-safe.
class Logger {
 public:
  virtual ~Logger() = default;
  virtual bool Enabled(LogLevel level) const = 0;
  virtual void Write(LogLevel level, absl::string_view message, std::initializer_list<LogField> fields) = 0;
  virtual void SetLevel(LogLevel level) = 0;
};

// One JSON object per line on standard error: {"time":...,"level":...,"message":...,FIELDS}.
std::unique_ptr<Logger> MakeStderrLogger(LogLevel level);

// Writes nothing.
std::unique_ptr<Logger> MakeSilentLogger();

// The line without its newline, as the loggers write it; `time` is RFC 3339 text.
std::string FormatLogLine(absl::string_view time, LogLevel level, absl::string_view message,
                          std::initializer_list<LogField> fields);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_LOG_H_
