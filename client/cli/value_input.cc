#include "client/cli/value_input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cli/hidden_prompt.h"

namespace keyferry::client::cli {
namespace {

Outcome CheckValue(const std::string& where, SecretText* value) {
  absl::string_view text = value->Expose();
  if (!text.empty() && text.back() == '\n') value->Truncate(text.size() - 1);
  text = value->Expose();
  if (text.empty()) return BadData(absl::StrCat("the value is empty: ", where, "; write the value to it"));
  if (text.size() > kMaxValueBytes) {
    return BadData(absl::StrCat("the value is longer than 64 KiB: ", where, "; store a shorter one"));
  }
  if (text.find('\0') != absl::string_view::npos) {
    return BadData(absl::StrCat("the value holds a NUL byte, which no environment variable can: ", where,
                                "; encode it, for example with base64"));
  }
  return std::nullopt;
}

Outcome PromptForValue(const Streams& streams, SecretText* value) {
  SecretText again;
  KEYFERRY_RETURN_IF_FAILED(HiddenPrompt(streams.input, *streams.error, "Value (hidden): ", kMaxValueBytes, value));
  KEYFERRY_RETURN_IF_FAILED(HiddenPrompt(streams.input, *streams.error, "Value again: ", kMaxValueBytes, &again));
  if (value->Expose() != again.Expose()) return BadData("the two values differ: prompt; try again");
  return CheckValue("prompt", value);
}

}  // namespace

Outcome ReadAll(int fd, size_t max_size, const std::string& where, SecretText* text) {
  SecretText buffer(max_size + 1);
  size_t size = 0;
  while (size < buffer.size()) {
    const ssize_t count = read(fd, buffer.ExposeMutable() + size, buffer.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return BadData(absl::StrCat("cannot read (", strerror(errno), "): ", where, "; check it"));
    if (count == 0) break;
    size += static_cast<size_t>(count);
  }
  buffer.Truncate(size);
  *text = std::move(buffer);
  return std::nullopt;
}

Outcome ReadValue(const Streams& streams, const std::string& file, SecretText* value) {
  // A newline beyond the largest value must not count.
  constexpr size_t kMaxRead = kMaxValueBytes + 1;
  if (file.empty() || file == "-") {
    if (file.empty() && streams.input_is_terminal) return PromptForValue(streams, value);
    KEYFERRY_RETURN_IF_FAILED(ReadAll(streams.input, kMaxRead, "standard input", value));
    return CheckValue("standard input", value);
  }
  const int fd = open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return BadData(absl::StrCat("cannot open (", strerror(errno), "): ", file, "; check the file's name"));
  Outcome outcome = ReadAll(fd, kMaxRead, file, value);
  close(fd);
  KEYFERRY_RETURN_IF_FAILED(std::move(outcome));
  return CheckValue(file, value);
}

}  // namespace keyferry::client::cli
