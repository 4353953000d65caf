#include "injector/supervise/signal_names.h"

#include <signal.h>
#include <string.h>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace keyferry::injector {

int SignalNumber(absl::string_view text) {
  int number = 0;
  if (absl::SimpleAtoi(text, &number)) return number >= 1 && number <= SIGRTMAX ? number : 0;
  const std::string upper = absl::AsciiStrToUpper(text);
  absl::string_view name = absl::StripPrefix(upper, "SIG");
  if (absl::ConsumePrefix(&name, "RTMIN")) {
    if (!name.empty() && (!absl::ConsumePrefix(&name, "+") || !absl::SimpleAtoi(name, &number))) return 0;
    return number >= 0 && SIGRTMIN + number <= SIGRTMAX ? SIGRTMIN + number : 0;
  }
  for (int candidate = 1; candidate < SIGRTMIN; ++candidate) {
    const char* const abbreviation = sigabbrev_np(candidate);
    if (abbreviation != nullptr && name == abbreviation) return candidate;
  }
  return 0;
}

std::string SignalName(int number) {
  const char* const abbreviation = sigabbrev_np(number);
  if (abbreviation != nullptr) return absl::StrCat("SIG", abbreviation);
  if (number >= SIGRTMIN && number <= SIGRTMAX) return absl::StrCat("SIGRTMIN+", number - SIGRTMIN);
  return absl::StrCat("signal ", number);
}

}  // namespace keyferry::injector
