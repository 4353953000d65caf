#ifndef KEYFERRY_INJECTOR_AGENT_COMMAND_H_
#define KEYFERRY_INJECTOR_AGENT_COMMAND_H_

#include "injector/agent/agent_options.h"
#include "injector/exec/exit_code.h"
#include "injector/exec/process.h"

namespace keyferry::injector {

// `agent`: serves the containers of a pod until a signal asks it to end, or asks a running agent how it is. Answers
// what to exit with and what to say before that. Call from the main thread, before any other was started.
Failure RunAgent(const agent::AgentOptions& options, const InheritedState& state);

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_AGENT_COMMAND_H_
