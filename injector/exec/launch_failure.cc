#include "injector/exec/launch_failure.h"

#include <errno.h>
#include <string.h>

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace keyferry::injector {

std::string Printable(std::string text) {
  for (char& c : text) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) c = '?';
  }
  return text;
}

Failure LaunchFailure(const std::string& program, int error) {
  return {error == ENOENT ? kNotFound : kCannotRun, Printable(absl::StrCat(program, ": ", strerror(error)))};
}

}  // namespace keyferry::injector
