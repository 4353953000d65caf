#include "injector/supervise/generation.h"

#include <algorithm>
#include <set>
#include <utility>

namespace keyferry::injector {
namespace {

constexpr size_t kShortestPattern = 8;

}  // namespace

absl::StatusOr<std::shared_ptr<Generation>> Generation::Make(ResolvedEnvironment resolved, const char* const* inherited,
                                                             const InheritRules& rules) {
  std::vector<BoundVariable> bindings;
  bindings.reserve(resolved.variables.size());
  for (const ResolvedValue& variable : resolved.variables) {
    bindings.push_back({variable.name, variable.value.Expose(), variable.allowed_by_org});
  }
  absl::StatusOr<Environment> environment = BuildEnvironment(inherited, rules, bindings);
  if (!environment.ok()) return environment.status();
  auto generation = std::make_shared<Generation>();
  generation->environment = *std::move(environment);
  generation->variables = std::move(resolved.variables);
  generation->revision = resolved.revision;
  return generation;
}

bool Generation::SameVariables(const Generation& other) const {
  const auto same = [](const ResolvedValue& a, const ResolvedValue& b) {
    return a.name == b.name && a.value.Expose() == b.value.Expose();
  };
  return variables.size() == other.variables.size() &&
         std::is_permutation(variables.begin(), variables.end(), other.variables.begin(), same);
}

std::shared_ptr<const PatternSet> PatternsOf(absl::Span<const std::shared_ptr<Generation>> generations) {
  std::set<std::pair<absl::string_view, absl::string_view>> seen;
  std::vector<NamedValue> values;
  for (const std::shared_ptr<Generation>& generation : generations) {
    for (const ResolvedValue& variable : generation->variables) {
      if (!seen.emplace(variable.name, variable.value.Expose()).second) continue;
      values.push_back({variable.name, variable.value.Expose()});
    }
  }
  return PatternSet::Compile(values);
}

std::vector<std::string> UnredactedNames(const Generation& generation) {
  std::vector<std::string> names;
  for (const ResolvedValue& variable : generation.variables) {
    if (!variable.value.empty() && variable.value.size() < kShortestPattern) names.push_back(variable.name);
  }
  return names;
}

}  // namespace keyferry::injector
