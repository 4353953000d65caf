#include "server/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace keyferry::server {
namespace {

struct LevelName {
  LogLevel level;
  absl::string_view name;
  spdlog::level::level_enum spdlog_level;
};
constexpr LevelName kLevels[] = {{LogLevel::kDebug, "debug", spdlog::level::debug},
                                 {LogLevel::kInfo, "info", spdlog::level::info},
                                 {LogLevel::kWarning, "warning", spdlog::level::warn},
                                 {LogLevel::kError, "error", spdlog::level::err}};

const LevelName& NameOf(LogLevel level) { return kLevels[static_cast<size_t>(level)]; }

void AppendJsonString(std::string* out, absl::string_view text) {
  out->push_back('"');
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out->push_back('\\');
      out->push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      absl::StrAppendFormat(out, "\\u%04x", static_cast<unsigned>(c));
    } else {
      out->push_back(c);
    }
  }
  out->push_back('"');
}

class StderrLogger : public Logger {
 public:
  explicit StderrLogger(LogLevel level) : sink_(std::make_shared<spdlog::sinks::stderr_sink_mt>()), logger_("", sink_) {
    sink_->set_pattern("%v");
    SetLevel(level);
  }

  bool Enabled(LogLevel level) const override { return logger_.should_log(NameOf(level).spdlog_level); }

  void Write(LogLevel level, absl::string_view message, std::initializer_list<LogField> fields) override {
    if (!Enabled(level)) return;
    const std::string time = absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", absl::Now(), absl::UTCTimeZone());
    const std::string line = FormatLogLine(time, level, message, fields);
    logger_.log(NameOf(level).spdlog_level, spdlog::string_view_t(line.data(), line.size()));
  }

  void SetLevel(LogLevel level) override { logger_.set_level(NameOf(level).spdlog_level); }

 private:
  std::shared_ptr<spdlog::sinks::stderr_sink_mt> sink_;
  spdlog::logger logger_;
};

class SilentLogger : public Logger {
 public:
  bool Enabled(LogLevel) const override { return false; }
  void Write(LogLevel, absl::string_view, std::initializer_list<LogField>) override {}
  void SetLevel(LogLevel) override {}
};

}  // namespace

absl::StatusOr<LogLevel> ParseLogLevel(absl::string_view text) {
  for (const LevelName& level : kLevels) {
    if (level.name == text) return level.level;
  }
  return absl::InvalidArgumentError("the log level must be debug, info, warning or error");
}

std::unique_ptr<Logger> MakeStderrLogger(LogLevel level) { return std::make_unique<StderrLogger>(level); }

std::unique_ptr<Logger> MakeSilentLogger() { return std::make_unique<SilentLogger>(); }

std::string FormatLogLine(absl::string_view time, LogLevel level, absl::string_view message,
                          std::initializer_list<LogField> fields) {
  std::string line = absl::StrCat("{\"time\":\"", time, "\",\"level\":\"", NameOf(level).name, "\",\"message\":");
  AppendJsonString(&line, message);
  for (const LogField& field : fields) {
    line.push_back(',');
    AppendJsonString(&line, field.name);
    line.push_back(':');
    if (field.is_number) {
      absl::StrAppend(&line, field.number);
    } else {
      AppendJsonString(&line, field.text);
    }
  }
  line.push_back('}');
  return line;
}

}  // namespace keyferry::server
