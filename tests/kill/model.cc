#include "tests/kill/model.h"

#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace keyferry::testing {
namespace {

std::string Text(const MaybeState& state) {
  return state.has_value() ? absl::StrCat("version ", state->version, " nonce ", state->nonce) : "absent";
}

}  // namespace

std::string IntentLine(const Step& step) {
  const CredentialState after = step.after.value_or(CredentialState{});
  return absl::StrCat("I ", step.worker, " ", step.name, " ", after.version, " ", after.nonce, "\n");
}

std::string AckLine(int worker) { return absl::StrCat("A ", worker, "\n"); }

std::string RefusedLine(int worker) { return absl::StrCat("N ", worker, "\n"); }

std::string ValueText(absl::string_view name, const CredentialState& state) {
  return absl::StrCat(name, ":", state.version, ":", state.nonce, ":", std::string(state.nonce % 3000, 'v'));
}

bool Model::Read(absl::string_view line) {
  const std::vector<std::string> parts = absl::StrSplit(line, ' ');
  int worker = 0;
  if (parts.size() < 2 || !absl::SimpleAtoi(parts[1], &worker)) return false;
  if (parts[0] == "A") {
    const auto step = under_way_.find(worker);
    if (step == under_way_.end()) return false;
    acknowledged_[step->second.name] = step->second.after;
    under_way_.erase(step);
    ++acknowledged_steps_;
    return true;
  }
  if (parts[0] == "N") return under_way_.erase(worker) == 1;
  CredentialState after;
  if (parts[0] != "I" || parts.size() != 5 || !absl::SimpleAtoi(parts[3], &after.version) ||
      !absl::SimpleAtoi(parts[4], &after.nonce)) {
    return false;
  }
  under_way_[worker] = {worker, parts[2], after.version == 0 ? MaybeState() : MaybeState(after)};
  return true;
}

bool Model::Allows(const std::string& name, const MaybeState& state) const {
  if (state == Acknowledged(name)) return true;
  for (const auto& [worker, step] : under_way_) {
    if (step.name == name && state == step.after) return true;
  }
  return false;
}

std::string Model::Describe(const std::string& name) const {
  std::string text = absl::StrCat(name, ": acknowledged ", Text(Acknowledged(name)));
  for (const auto& [worker, step] : under_way_) {
    if (step.name == name) absl::StrAppend(&text, ", under way ", Text(step.after));
  }
  return text;
}

void Model::Settle(const std::string& name, const MaybeState& state) { acknowledged_[name] = state; }

MaybeState Model::Acknowledged(const std::string& name) const {
  const auto found = acknowledged_.find(name);
  return found == acknowledged_.end() ? MaybeState() : found->second;
}

}  // namespace keyferry::testing
