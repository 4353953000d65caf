#ifndef KEYFERRY_INJECTOR_SUPERVISE_SUPERVISE_OPTIONS_H_
#define KEYFERRY_INJECTOR_SUPERVISE_SUPERVISE_OPTIONS_H_

#include "absl/time/time.h"

namespace keyferry::injector {

// What happens to the command when its environment changes.
enum class OnRotate {
  // kMcp if standard input and output are both pipes or sockets, as an MCP client makes them; kRestart otherwise.
  kByStreams,
  // A stdio MCP server: its session moves to a new process without the client noticing.
  kMcp,
  // Stop it, then start it again.
  kRestart,
  // Send it `signal`; its own environment stays as it is.
  kSignal,
  // Stop it and exit 0, for whoever starts it again.
  kExit,
  kIgnore,
};

enum class Rotation {
  // The new process starts while the old one still works.
  kOverlap,
  // The old one ends first.
  kSerial,
};

struct SuperviseOptions {
  OnRotate on_rotate = OnRotate::kByStreams;
  // For kSignal.
  int signal = 0;
  Rotation rotation = Rotation::kOverlap;
  // How long a replaced MCP server may work on the requests that it has.
  absl::Duration drain_timeout = absl::Seconds(30);
  // How long a new MCP server may take until it is ready.
  absl::Duration initialize_timeout = absl::Seconds(60);
  // How long a process may take to end by itself, first after its input was closed, then after SIGTERM; then it is
  // killed.
  absl::Duration stop_timeout = absl::Seconds(10);
  // A change waits until nothing has changed for this long.
  absl::Duration debounce = absl::Milliseconds(100);
  // Then for a random time up to this, so that many processes do not restart at once.
  absl::Duration splay = absl::ZeroDuration();
  // Whether values are taken out of what the command prints.
  bool redact = true;
};

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_SUPERVISE_SUPERVISE_OPTIONS_H_
