#ifndef KEYFERRY_TESTS_KILL_MODEL_H_
#define KEYFERRY_TESTS_KILL_MODEL_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace keyferry::testing {

// State of one credential: which version it is at, and the nonce that every part of that version carries.
struct CredentialState {
  int64_t version = 0;
  uint64_t nonce = 0;
  bool operator==(const CredentialState& other) const { return version == other.version && nonce == other.nonce; }
};

// Absent: the credential does not exist.
using MaybeState = std::optional<CredentialState>;

// One write that a writer announced before it started ("intent") and reported after it was acknowledged ("ack").
struct Step {
  // Each worker has at most one step under way.
  int worker = 0;
  // Name of the credential, or "kek" for a change of the key-encryption key, whose number is then `after->version`.
  std::string name;
  MaybeState after;
};

// Lines of the pipe between writer and test.
std::string IntentLine(const Step& step);
std::string AckLine(int worker);
// The step failed and left everything as it was.
std::string RefusedLine(int worker);

// The text that a version's value holds, distinct for every name, version and nonce.
std::string ValueText(absl::string_view name, const CredentialState& state);

// What the test knows of the store: for each name the last acknowledged state, and the state that a step under way
// would leave. Fed with the writer's lines.
class Model {
 public:
  // False if the line is not one of the protocol's.
  bool Read(absl::string_view line);

  // Whether the name may be in this state now.
  bool Allows(const std::string& name, const MaybeState& state) const;
  // A text for messages: every state that Allows accepts.
  std::string Describe(const std::string& name) const;
  // Takes what was found as the acknowledged state, once a round is over.
  void Settle(const std::string& name, const MaybeState& state);
  // Forgets the steps under way.
  void EndRound() { under_way_.clear(); }

  MaybeState Acknowledged(const std::string& name) const;
  int64_t acknowledged_steps() const { return acknowledged_steps_; }

 private:
  std::map<std::string, MaybeState> acknowledged_;
  std::map<int, Step> under_way_;
  int64_t acknowledged_steps_ = 0;
};

}  // namespace keyferry::testing

#endif  // KEYFERRY_TESTS_KILL_MODEL_H_
