#include "client/cli/hidden_prompt.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <iterator>
#include <utility>

namespace keyferry::client::cli {
namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};

// A signal handler can reach nothing but a global.
volatile sig_atomic_t caught_signal = 0;

void RememberSignal(int signal) { caught_signal = signal; }

// While it exists, the signals interrupt a read instead of ending or stopping the process.
class SignalGuard {
 public:
  SignalGuard() {
    caught_signal = 0;
    struct sigaction action = {};
    action.sa_handler = RememberSignal;
    sigemptyset(&action.sa_mask);
    sigset_t caught;
    sigemptyset(&caught);
    for (size_t i = 0; i < std::size(kSignals); ++i) {
      sigaction(kSignals[i], &action, &previous_[i]);
      sigaddset(&caught, kSignals[i]);
    }
    // They come only while ReadLine waits, so that none can slip in just before it does and be missed.
    sigprocmask(SIG_BLOCK, &caught, &mask_);
  }
  ~SignalGuard() {
    for (size_t i = 0; i < std::size(kSignals); ++i) sigaction(kSignals[i], &previous_[i], nullptr);
    // What came since the last wait now does what it did before.
    sigprocmask(SIG_SETMASK, &mask_, nullptr);
  }

  // The mask to wait with.
  const sigset_t& mask() const { return mask_; }

  SignalGuard(const SignalGuard&) = delete;
  SignalGuard& operator=(const SignalGuard&) = delete;

 private:
  struct sigaction previous_[std::size(kSignals)];
  sigset_t mask_;
};

// While it exists, what is typed is not shown.
class EchoOff {
 public:
  explicit EchoOff(int terminal) : terminal_(terminal) {
    if (tcgetattr(terminal_, &before_) != 0) return;
    termios quiet = before_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO | ECHONL);
    active_ = tcsetattr(terminal_, TCSAFLUSH, &quiet) == 0;
  }
  ~EchoOff() {
    if (active_) tcsetattr(terminal_, TCSAFLUSH, &before_);
  }
  EchoOff(const EchoOff&) = delete;
  EchoOff& operator=(const EchoOff&) = delete;

  bool active() const { return active_; }

 private:
  const int terminal_;
  bool active_ = false;
  termios before_ = {};
};

enum class ReadResult { kLine, kTooLong, kEnd, kSignal, kNoTerminal };

ReadResult ReadLine(int terminal, const sigset_t& waiting_mask, SecretText* line) {
  EchoOff echo_off(terminal);
  if (!echo_off.active()) return ReadResult::kNoTerminal;
  SecretText buffer(line->size());
  size_t size = 0;
  bool too_long = false;
  for (;;) {
    pollfd input = {terminal, POLLIN, 0};
    const int ready = ppoll(&input, 1, /*timeout=*/nullptr, &waiting_mask);
    if (caught_signal != 0) return ReadResult::kSignal;
    if (ready < 0 && errno == EINTR) continue;
    char c = 0;
    const ssize_t count = read(terminal, &c, 1);
    if (count <= 0) return ReadResult::kEnd;
    if (c == '\n') break;
    too_long = too_long || size == buffer.size();
    if (!too_long) buffer.ExposeMutable()[size++] = c;
  }
  // A terminal hands out no more than 4095 bytes of a line (N_TTY) and drops the rest without a word.
  if (too_long || size >= 4095) return ReadResult::kTooLong;
  buffer.Truncate(size);
  *line = std::move(buffer);
  return ReadResult::kLine;
}

}  // namespace

Outcome HiddenPrompt(int terminal, std::ostream& output, const std::string& question, size_t max_size,
                     SecretText* answer) {
  for (;;) {
    SecretText line(max_size);
    ReadResult result;
    {
      SignalGuard guard;
      output << question << std::flush;
      result = ReadLine(terminal, guard.mask(), &line);
      output << std::endl;
    }
    switch (result) {
      case ReadResult::kLine:
        *answer = std::move(line);
        return std::nullopt;
      case ReadResult::kTooLong:
        return BadData("the line is too long: prompt; use --from-file");
      case ReadResult::kEnd:
        return BadData("the input ended: prompt; type a value and press Enter");
      case ReadResult::kNoTerminal:
        return BadData("echo cannot be switched off: prompt; write the value to standard input");
      case ReadResult::kSignal:
        // The disposition from before the guard applies again: most end the process here.
        raise(static_cast<int>(caught_signal));
    }
  }
}

}  // namespace keyferry::client::cli
