#ifndef KEYFERRY_INJECTOR_SUPERVISE_STANDARD_STREAMS_H_
#define KEYFERRY_INJECTOR_SUPERVISE_STANDARD_STREAMS_H_

#include <sys/signalfd.h>

namespace keyferry::injector {

// Opens /dev/null in place of each of the three that the caller left closed: a descriptor that is opened later must
// never take their numbers, since the child, or a log line, would then write into it. Call before anything else is
// opened.
void FillStandardDescriptors();

// Whether standard input and output are both pipes or sockets, as an MCP client makes them for its servers.
bool StreamsLookLikeMcp();

// Whether standard error is what standard output is (`2>&1`): then the order between the two matters to the reader.
bool ErrorIsOutput();

// Let go of the descriptor, so that the other side sees that nobody reads or writes any more. The number stays taken,
// by /dev/null.
void CloseStandardInput();
void CloseStandardOutput();
void CloseStandardError();

// Whether the kernel sent the signal to the terminal's whole foreground group (an interrupt key, a hangup, a new window
// size): a child in this process's own group has it too.
bool CameFromTerminal(const struct signalfd_siginfo& signal);

// Whether a signal of this number asks a program to end.
bool AsksToEnd(int signal);

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_SUPERVISE_STANDARD_STREAMS_H_
