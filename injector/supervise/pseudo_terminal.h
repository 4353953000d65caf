#ifndef KEYFERRY_INJECTOR_SUPERVISE_PSEUDO_TERMINAL_H_
#define KEYFERRY_INJECTOR_SUPERVISE_PSEUDO_TERMINAL_H_

#include <termios.h>

#include <memory>
#include <optional>

#include "injector/supervise/descriptor.h"

namespace keyferry::injector {

// A terminal for the command, between it and the terminal that this process has: what it prints there can be read and
// values taken out.
class PseudoTerminal {
 public:
  // With the modes and the size of the terminal `like`. nullptr if there is none to be had.
  static std::unique_ptr<PseudoTerminal> Make(int like);

  // Leaves output as it is, where the outer terminal processes it.
  void LeaveOutputAlone();
  // Takes over the outer terminal's size. Answers whether it is another than before.
  bool CopySize(int outer);

  // The command's side; -1 once it was closed here.
  int slave() const { return slave_.get(); }
  void CloseSlave() { slave_.Reset(); }
  // This side; a descriptor of its own each time.
  Descriptor Master() const;

 private:
  PseudoTerminal(Descriptor master, Descriptor slave) : master_(std::move(master)), slave_(std::move(slave)) {}

  Descriptor master_;
  Descriptor slave_;
};

// The outer terminal in raw mode, so that keys reach the command's own terminal as they are. Puts the modes back when
// it ends.
class RawMode {
 public:
  explicit RawMode(int terminal) : terminal_(terminal) {}
  ~RawMode() { Leave(); }
  RawMode(const RawMode&) = delete;
  RawMode& operator=(const RawMode&) = delete;

  // No effect while this process is in the background: the terminal is another's then.
  void Enter();
  void Leave();
  bool entered() const { return before_.has_value(); }

 private:
  const int terminal_;
  std::optional<struct termios> before_;
};

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_SUPERVISE_PSEUDO_TERMINAL_H_
