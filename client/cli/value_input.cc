#include "client/cli/value_input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "client/cli/hidden_prompt.h"
#include "client/utf8.h"

namespace keyferry::client::cli {
namespace {

void RemoveNewline(SecretText* text) {
  if (!text->empty() && text->Expose().back() == '\n') text->Truncate(text->size() - 1);
}

Outcome CheckValue(const std::string& where, SecretText* value) {
  RemoveNewline(value);
  const absl::string_view text = value->Expose();
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

Outcome ReadFrom(const std::string& file, size_t max_size, SecretText* text) {
  const int fd = open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return BadData(absl::StrCat("cannot open (", strerror(errno), "): ", file, "; check the file's name"));
  Outcome outcome = ReadAll(fd, max_size, file, text);
  close(fd);
  return outcome;
}

Outcome CheckSecret(const SecretQuestion& question, const std::string& where, SecretText* secret) {
  RemoveNewline(secret);
  if (secret->empty() && !question.optional) {
    return BadData(absl::StrCat("the ", question.name, " is empty: ", where, "; give the ", question.name, " there"));
  }
  if (secret->size() > question.max_size) {
    return BadData(absl::StrCat("the ", question.name, " is longer than ", question.max_size, " bytes: ", where,
                                "; check what it holds"));
  }
  if (FindInvalidUtf8(secret->Expose()) != absl::string_view::npos ||
      secret->Expose().find('\0') != absl::string_view::npos) {
    return BadData(absl::StrCat("the ", question.name, " is not a text: ", where, "; check what it holds"));
  }
  return std::nullopt;
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
  KEYFERRY_RETURN_IF_FAILED(ReadFrom(file, kMaxRead, value));
  return CheckValue(file, value);
}

Outcome ReadSecret(const Streams& streams, const std::string& file, const SecretQuestion& question,
                   SecretText* secret) {
  const bool standard_input = file.empty() || file == "-";
  if (!standard_input) {
    KEYFERRY_RETURN_IF_FAILED(ReadFrom(file, question.max_size + 1, secret));
    return CheckSecret(question, file, secret);
  }
  if (streams.input_is_terminal) {
    std::string prompt = absl::StrCat(question.name, question.optional ? " (hidden; empty for none): " : " (hidden): ");
    prompt[0] = absl::ascii_toupper(static_cast<unsigned char>(prompt[0]));
    KEYFERRY_RETURN_IF_FAILED(HiddenPrompt(streams.input, *streams.error, prompt, question.max_size, secret));
    return CheckSecret(question, "prompt", secret);
  }
  KEYFERRY_RETURN_IF_FAILED(ReadAll(streams.input, question.max_size + 1, "standard input", secret));
  return CheckSecret(question, "standard input", secret);
}

}  // namespace keyferry::client::cli
