#include "injector/agent/protocol.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/ascii.h"
#include "injector/exec/launch_failure.h"

namespace keyferry::injector::agent {
namespace {

constexpr size_t kMaxLauncherName = 64;
constexpr uint32_t kMaxVariables = 1024;
constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
constexpr uint8_t kAllowedByOrg = 1;

// Counts what it is given or, given a place, writes it there: big-endian, texts after their length.
class Output {
 public:
  explicit Output(char* at) : at_(at) {}
  size_t size() const { return size_; }

  void U8(uint8_t value) { Number(value, 1); }
  void U16(uint16_t value) { Number(value, 2); }
  void U32(uint32_t value) { Number(value, 4); }
  void I64(int64_t value) { Number(static_cast<uint64_t>(value), 8); }
  void Text(absl::string_view text) {
    U32(static_cast<uint32_t>(text.size()));
    if (at_ != nullptr) std::copy(text.begin(), text.end(), at_ + size_);
    size_ += text.size();
  }

 private:
  void Number(uint64_t value, size_t bytes) {
    for (size_t i = 0; i < bytes && at_ != nullptr; ++i) {
      at_[size_ + i] = static_cast<char>(value >> (8 * (bytes - 1 - i)));
    }
    size_ += bytes;
  }

  char* at_;
  size_t size_ = 0;
};

class Input {
 public:
  explicit Input(absl::string_view rest) : rest_(rest) {}

  uint8_t U8() { return static_cast<uint8_t>(Number(1)); }
  uint16_t U16() { return static_cast<uint16_t>(Number(2)); }
  uint32_t U32() { return static_cast<uint32_t>(Number(4)); }
  int64_t I64() { return static_cast<int64_t>(Number(8)); }
  absl::string_view Text() {
    const uint32_t size = U32();
    if (size > rest_.size()) good_ = false;
    if (!good_) return "";
    const absl::string_view text = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return text;
  }
  std::string Line(size_t max = kMaxLineBytes) {
    const absl::string_view text = Text();
    good_ = good_ && text.size() <= max && std::all_of(text.begin(), text.end(), [](char c) {
              return !absl::ascii_iscntrl(static_cast<unsigned char>(c));
            });
    return good_ ? std::string(text) : "";
  }
  bool good() const { return good_; }
  bool good_to_the_end() const { return good_ && rest_.empty(); }

 private:
  uint64_t Number(size_t bytes) {
    if (bytes > rest_.size()) good_ = false;
    uint64_t value = 0;
    for (size_t i = 0; i < bytes && good_; ++i) value = value << 8 | static_cast<uint8_t>(rest_[i]);
    if (good_) rest_.remove_prefix(bytes);
    return value;
  }

  absl::string_view rest_;
  bool good_ = true;
};

template <typename Body>
client::SecretText Frame(MessageType type, const Body& body) {
  Output sizing(nullptr);
  body(sizing);
  client::SecretText frame(5 + sizing.size());
  Output output(frame.ExposeMutable());
  output.U32(static_cast<uint32_t>(1 + sizing.size()));
  output.U8(static_cast<uint8_t>(type));
  body(output);
  return frame;
}

int64_t ToMillis(absl::Time time) { return time == absl::InfiniteFuture() ? kNever : absl::ToUnixMillis(time); }

absl::Time FromMillis(int64_t millis) {
  return millis == kNever ? absl::InfiniteFuture() : absl::FromUnixMillis(millis);
}

absl::string_view Cut(absl::string_view line) { return line.substr(0, kMaxLineBytes); }

void ReadVariable(Input& input, ResolvedValue& variable) {
  variable.name = std::string(input.Text());
  const absl::string_view value = input.Text();
  variable.value = client::SecretText(value.size());
  std::copy(value.begin(), value.end(), variable.value.ExposeMutable());
  variable.allowed_by_org = input.U8() == kAllowedByOrg;
  variable.credential = std::string(input.Text());
  variable.version = input.I64();
  variable.refresh_time = FromMillis(input.I64());
}

}  // namespace

client::SecretText HelloFrame(const Hello& hello) {
  return Frame(MessageType::kHello, [&](Output& output) {
    output.U16(hello.version);
    output.U8(static_cast<uint8_t>(hello.mode));
    output.I64(hello.running_revision);
    output.I64(hello.pid);
    output.Text(absl::string_view(hello.launcher).substr(0, kMaxLauncherName));
  });
}

client::SecretText ConfirmFrame(const Confirm& confirm) {
  return Frame(MessageType::kConfirm, [&](Output& output) {
    output.I64(confirm.revision);
    output.I64(confirm.pid);
  });
}

client::SecretText EnvironmentFrame(const ResolvedEnvironment& environment, absl::Time stale_since) {
  return Frame(MessageType::kEnvironment, [&](Output& output) {
    output.I64(environment.revision);
    output.I64(ToMillis(stale_since));
    output.U32(static_cast<uint32_t>(environment.variables.size()));
    for (const ResolvedValue& variable : environment.variables) {
      output.Text(variable.name);
      output.Text(variable.value.Expose());
      output.U8(variable.allowed_by_org ? kAllowedByOrg : 0);
      output.Text(variable.credential);
      output.I64(variable.version);
      output.I64(ToMillis(variable.refresh_time));
    }
  });
}

client::SecretText NoticeFrame(const Notice& notice) {
  const std::string line = Printable(notice.line);
  return Frame(MessageType::kNotice, [&](Output& output) {
    output.U8(static_cast<uint8_t>(notice.kind));
    output.Text(Cut(line));
  });
}

client::SecretText ErrorFrame(const Failure& failure) {
  const std::string line = Printable(failure.message);
  return Frame(MessageType::kError, [&](Output& output) {
    output.U8(static_cast<uint8_t>(failure.exit_code));
    output.Text(Cut(line));
  });
}

client::SecretText DrainFrame() {
  return Frame(MessageType::kDrain, [](Output&) {});
}

client::SecretText StatusFrame(const AgentStatus& status) {
  const std::string line = Printable(status.line);
  return Frame(MessageType::kStatus, [&](Output& output) {
    output.U8(status.ready ? 1 : 0);
    output.Text(Cut(line));
  });
}

bool ReadHello(absl::string_view payload, Hello& hello) {
  Input input(payload);
  hello.version = input.U16();
  // What another version says after this is not known.
  if (input.good() && hello.version != kProtocolVersion) return true;
  const uint8_t mode = input.U8();
  hello.mode = static_cast<LaunchMode>(mode);
  hello.running_revision = input.I64();
  hello.pid = input.I64();
  hello.launcher = input.Line(kMaxLauncherName);
  return input.good_to_the_end() && mode <= static_cast<uint8_t>(LaunchMode::kTransient) &&
         hello.running_revision >= 0 && hello.pid >= 0 &&
         (hello.mode == LaunchMode::kSupervise || hello.running_revision == 0);
}

bool ReadConfirm(absl::string_view payload, Confirm& confirm) {
  Input input(payload);
  confirm.revision = input.I64();
  confirm.pid = input.I64();
  return input.good_to_the_end() && confirm.revision > 0 && confirm.pid > 0;
}

bool ReadEnvironment(absl::string_view payload, EnvironmentMessage& message) {
  Input input(payload);
  message.environment.revision = input.I64();
  message.stale_since = FromMillis(input.I64());
  const uint32_t count = input.U32();
  if (!input.good() || count > kMaxVariables) return false;
  message.environment.variables.clear();
  for (uint32_t i = 0; i < count && input.good(); ++i) {
    ReadVariable(input, message.environment.variables.emplace_back());
  }
  return input.good_to_the_end();
}

bool ReadNotice(absl::string_view payload, Notice& notice) {
  Input input(payload);
  const uint8_t kind = input.U8();
  notice.kind = static_cast<NoticeKind>(kind);
  notice.line = input.Line();
  return input.good_to_the_end() && kind <= static_cast<uint8_t>(NoticeKind::kCurrent);
}

bool ReadError(absl::string_view payload, Failure& failure) {
  Input input(payload);
  failure.exit_code = input.U8();
  failure.message = input.Line();
  return input.good_to_the_end() && failure.exit_code >= kUsage && failure.exit_code <= kConfiguration;
}

bool ReadStatus(absl::string_view payload, AgentStatus& status) {
  Input input(payload);
  const uint8_t ready = input.U8();
  status.ready = ready == 1;
  status.line = input.Line();
  return input.good_to_the_end() && ready <= 1;
}

}  // namespace keyferry::injector::agent
