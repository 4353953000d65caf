#include "injector/supervise/pseudo_terminal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace keyferry::injector {

std::unique_ptr<PseudoTerminal> PseudoTerminal::Make(int like) {
  Descriptor master(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  char name[64];
  if (!master.valid() || grantpt(master.get()) != 0 || unlockpt(master.get()) != 0 ||
      ptsname_r(master.get(), name, sizeof(name)) != 0) {
    return nullptr;
  }
  Descriptor slave(open(name, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!slave.valid()) return nullptr;
  struct termios modes;
  if (tcgetattr(like, &modes) == 0) tcsetattr(slave.get(), TCSANOW, &modes);
  std::unique_ptr<PseudoTerminal> terminal(new PseudoTerminal(std::move(master), std::move(slave)));
  terminal->CopySize(like);
  return terminal;
}

void PseudoTerminal::LeaveOutputAlone() {
  struct termios modes;
  if (tcgetattr(slave_.get(), &modes) != 0) return;
  modes.c_oflag &= ~OPOST;
  tcsetattr(slave_.get(), TCSANOW, &modes);
}

bool PseudoTerminal::CopySize(int outer) {
  struct winsize size;
  struct winsize before;
  if (ioctl(outer, TIOCGWINSZ, &size) != 0 || ioctl(master_.get(), TIOCGWINSZ, &before) != 0) return false;
  if (memcmp(&size, &before, sizeof(size)) == 0) return false;
  return ioctl(master_.get(), TIOCSWINSZ, &size) == 0;
}

Descriptor PseudoTerminal::Master() const { return Descriptor(fcntl(master_.get(), F_DUPFD_CLOEXEC, 3)); }

void RawMode::Enter() {
  if (entered() || tcgetpgrp(terminal_) != getpgrp()) return;
  struct termios modes;
  if (tcgetattr(terminal_, &modes) != 0) return;
  before_ = modes;
  cfmakeraw(&modes);
  tcsetattr(terminal_, TCSADRAIN, &modes);
}

void RawMode::Leave() {
  if (!entered()) return;
  if (tcgetpgrp(terminal_) == getpgrp()) tcsetattr(terminal_, TCSADRAIN, &*before_);
  before_.reset();
}

}  // namespace keyferry::injector
