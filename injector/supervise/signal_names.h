#ifndef KEYFERRY_INJECTOR_SUPERVISE_SIGNAL_NAMES_H_
#define KEYFERRY_INJECTOR_SUPERVISE_SIGNAL_NAMES_H_

#include <string>

#include "absl/strings/string_view.h"

namespace keyferry::injector {

// The number of a signal that is written as `HUP`, `SIGHUP` (either case), `RTMIN+1` or `1`; 0 if there is none.
int SignalNumber(absl::string_view text);

// As in `SIGHUP`.
std::string SignalName(int number);

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_SUPERVISE_SIGNAL_NAMES_H_
