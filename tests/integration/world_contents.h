#ifndef KEYFERRY_TESTS_INTEGRATION_WORLD_CONTENTS_H_
#define KEYFERRY_TESTS_INTEGRATION_WORLD_CONTENTS_H_

#include <string>
#include <vector>

#include "tests/integration/world.h"

namespace keyferry::testing {

// One call of a method with a request in text format.
struct SetUpCall {
  Who who;
  std::string method;
  std::string request;
};

// What makes the two organizations: first as their ADMINs, then also as others, who have tokens by then.
std::vector<SetUpCall> SetUpCalls();
std::vector<SetUpCall> SetUpCallsWithTokens();

// Reads that together show everything, values included: every list, and the resolution of MCP servers that between them
// bind every credential. No two resolve the same credential, so that their order does not matter.
std::vector<SetUpCall> DigestCalls();

}  // namespace keyferry::testing

#endif  // KEYFERRY_TESTS_INTEGRATION_WORLD_CONTENTS_H_
