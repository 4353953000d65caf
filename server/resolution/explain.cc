// Explains, without opening any value, what Resolve would do.
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/access/access.h"
#include "server/allowed_names.h"
#include "server/credentials/conversion.h"
#include "server/credentials/record_fields.h"
#include "server/errors.h"
#include "server/mcpservers/definition.h"
#include "server/oauth/connection_records.h"
#include "server/records.h"
#include "server/resolution/connection_state.h"
#include "server/resolution/missing.h"
#include "server/resolution/resolver.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Table;

v1::StepOutcome OutcomeOf(StepState state) {
  switch (state) {
    case StepState::kNoSuchScope:
      return v1::STEP_OUTCOME_NOT_APPLICABLE;
    case StepState::kSuspended:
      return v1::STEP_OUTCOME_SUSPENDED;
    case StepState::kPinnedElsewhere:
      return v1::STEP_OUTCOME_PINNED_ELSEWHERE;
    case StepState::kApplicable:
      break;
  }
  return v1::STEP_OUTCOME_NOT_SET;
}

// One explanation under way.
struct Explainer {
  const storage::StoreView& view;
  const Caller& caller;
  const Session& session;
  const absl::Time now;

  bool IsHidden(ParentName::Kind scope) const {
    return scope == ParentName::kUser && (caller.kind != PrincipalKind::kUser || caller.id != session.user);
  }

  absl::Status LookAt(const Binding& binding, const Step& planned, bool answered, v1::ResolutionStep* step) const {
    const bool oauth = binding.source == SourceKind::kOauth;
    const ParentName parent = ParentIn(session, planned.scope);
    step->set_scope(parent.Scope());
    step->set_outcome(OutcomeOf(planned.state));
    const bool exists_in_session = planned.scope == ParentName::kOrg ||
                                   !(planned.scope == ParentName::kUser ? session.user : session.team).empty();
    const ChildName name = {parent, binding.credential};
    if (exists_in_session) step->set_credential(name.Name(oauth ? "connections" : "credentials"));
    if (planned.state != StepState::kApplicable) return absl::OkStatus();
    if (IsHidden(planned.scope)) {
      // Not even looked at.
      step->set_outcome(v1::STEP_OUTCOME_HIDDEN);
      return absl::OkStatus();
    }
    if (oauth) return LookAtConnection(name, answered, step);
    ASSIGN_OR_RETURN(const auto stored,
                     ReadRecord<records::CredentialRecord>(view, CredentialKey(Table::kCredential, name)));
    if (stored.has_value()) Found(parent, stored->record, answered, step);
    return absl::OkStatus();
  }

  absl::Status LookAtConnection(const ChildName& name, bool answered, v1::ResolutionStep* step) const {
    absl::StatusOr<FoundConnection> found =
        name.parent.kind == ParentName::kUser
            ? FindConnectionOfUser(view, name.parent, session.user_create_time, name.id, now)
            : FindConnection(view, name.parent, name.id, now);
    RETURN_IF_ERROR(found.status());
    if (found->state == GrantState::kNone) return absl::OkStatus();
    Found(name.parent, found->record, answered, step);
    if (found->state == GrantState::kConnectNeeded) step->set_outcome(v1::STEP_OUTCOME_CONNECT_NEEDED);
    return absl::OkStatus();
  }

  template <typename Record>
  void Found(const ParentName& parent, const Record& record, bool answered, v1::ResolutionStep* step) const {
    step->set_outcome(answered ? v1::STEP_OUTCOME_OVERRIDDEN : v1::STEP_OUTCOME_CHOSEN);
    step->set_version(record.version());
    if (Decide(caller, Action::kSee, CredentialResource(parent, step->credential())) == Decision::kAllow) {
      step->set_updater(record.updater());
      *step->mutable_update_time() = TimestampFrom(record.update_time());
    }
  }

  absl::StatusOr<std::string> NextStep(const Binding& binding, const Plan& plan) const {
    if (binding.source != SourceKind::kOauth) return NextStepFor(binding, session, plan);
    ASSIGN_OR_RETURN(const bool exists, view.Contains(ProviderKey(session.org, binding.credential)));
    return NextStepForConnection(binding, session, plan, exists);
  }

  // Sets `refused` if Resolve fails whatever the scopes hold.
  absl::Status Explain(const Binding& binding, AllowedNames* allowed, v1::VariableExplanation* explanation,
                       bool* refused) const {
    explanation->set_variable(binding.variable);
    explanation->set_required(binding.required);
    if (binding.hijacking) {
      ASSIGN_OR_RETURN(const bool allow, allowed->Allow(binding.variable));
      if (!allow) {
        explanation->set_summary(
            "Nothing is launched with it: it changes how a process starts, and the organization does not allow it.");
        *refused = true;
        return absl::OkStatus();
      }
    }
    if (binding.source == SourceKind::kStatic) {
      explanation->set_resolved(true);
      explanation->set_summary("Set by the MCP server's own static value.");
      return absl::OkStatus();
    }
    const Plan plan = MakePlan(binding, session);
    bool hidden = false;
    const v1::ResolutionStep* chosen = nullptr;
    for (const Step& planned : plan) {
      v1::ResolutionStep* step = explanation->add_steps();
      RETURN_IF_ERROR(LookAt(binding, planned, chosen != nullptr, step));
      hidden = hidden || step->outcome() == v1::STEP_OUTCOME_HIDDEN;
      if (step->outcome() == v1::STEP_OUTCOME_CHOSEN) chosen = step;
    }
    explanation->set_resolved(chosen != nullptr);
    const bool oauth = binding.source == SourceKind::kOauth;
    const absl::string_view what = oauth ? "connection" : "credential";
    const std::string unless =
        hidden ? absl::StrCat(" A personal ", what, " of the user, which only they can see, would go before it.") : "";
    if (chosen != nullptr) {
      explanation->set_summary(
          absl::StrCat("Version ", chosen->version(), " of ", chosen->credential(), " answers.", unless));
    } else if (hidden) {
      explanation->set_summary(absl::StrCat("No scope that you can see has a ", oauth ? "connection" : "value",
                                            "; a personal ", what,
                                            " of the user may answer, which only they can see."));
    } else {
      ASSIGN_OR_RETURN(const std::string next_step, NextStep(binding, plan));
      explanation->set_summary(absl::StrCat("Nothing answers. ", next_step));
    }
    return absl::OkStatus();
  }
};

}  // namespace

absl::StatusOr<v1::ExplainResponse> Resolver::Explain(const Caller& caller, const v1::ExplainRequest& request) const {
  ASSIGN_OR_RETURN(const ChildName server, ParseMcpServerName(request.mcp_server(), "mcp_server"));
  // A workload sees an MCP server by its grant alone.
  const Action action = caller.kind == PrincipalKind::kWorkload ? Action::kResolve : Action::kSee;
  RETURN_IF_ERROR(Authorize(caller, action, McpServerResource(server.parent, request.mcp_server())));
  if (caller.kind == PrincipalKind::kService && request.user().empty()) {
    return InvalidField("user", "required for a service, which does not resolve itself",
                        "Name the user to explain for.");
  }
  const uint64_t generation = store_->Generation(Table::kMcpServer);
  const std::unique_ptr<storage::StoreView> view = store_->View();
  const bool for_self = request.user().empty() || request.user() == caller.Name();
  ASSIGN_OR_RETURN(const Session session, for_self ? SessionFor(caller, server, request.team())
                                                   : SessionForOther(*view, caller, server, request));
  const auto bindings = servers_.Get(*view, generation, server, request.mcp_server());
  if (!bindings.ok()) return FromStore(bindings.status(), request.mcp_server());
  if (*bindings == nullptr) return NotFound(request.mcp_server());
  v1::ExplainResponse response;
  response.set_resolvable(true);
  const Explainer explainer = {*view, caller, session, clock_()};
  AllowedNames allowed(*view, session.org);
  bool refused = false;
  for (const Binding& binding : (*bindings)->bindings) {
    v1::VariableExplanation* explanation = response.add_variables();
    RETURN_IF_ERROR(FromStore(explainer.Explain(binding, &allowed, explanation, &refused), request.mcp_server()));
    if (refused || (!explanation->resolved() && explanation->required())) response.set_resolvable(false);
  }
  return response;
}

}  // namespace keyferry::server
