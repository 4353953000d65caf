// Which connection answers for an OAuth provider, and its token.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "server/oauth/connection_records.h"
#include "server/resolution/answer.h"
#include "server/resolution/connection_state.h"
#include "server/resolution/missing.h"
#include "server/resolution/resolver.h"
#include "server/status_macros.h"
#include "storage/records/records.pb.h"

namespace keyferry::server {

using storage::Table;

namespace {

constexpr absl::Duration kMinRetryDelay = absl::Seconds(1);
constexpr absl::Duration kMaxRetryDelay = absl::Minutes(1);
constexpr int64_t kNanosInSecond = 1'000'000'000;

}  // namespace

absl::Status Resolver::ResolveConnection(const storage::StoreView& view, const Session& session, const Binding& binding,
                                         const Plan& plan, Answer* answer) const {
  if (answer->now == absl::InfinitePast()) answer->now = clock_();
  for (const Step& step : plan) {
    if (step.state != StepState::kApplicable) continue;
    const ParentName parent = ParentIn(session, step.scope);
    if (answer->dependencies != nullptr) {
      const ConnectionKey key = {session.org, parent.RecordParent(), binding.credential};
      for (const Table table : {Table::kConnection, Table::kConnectionToken}) {
        answer->dependencies->answer.push_back(ConnectionRecordKey(table, key));
      }
    }
    ASSIGN_OR_RETURN(const bool answers, OpenToken(view, session, binding, parent, answer));
    if (answers) return absl::OkStatus();
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> Resolver::OpenToken(const storage::StoreView& view, const Session& session, const Binding& binding,
                                         const ParentName& parent, Answer* answer) const {
  storage::RecordKey key = {Table::kConnectionToken, session.org, parent.RecordParent(), binding.credential};
  ASSIGN_OR_RETURN(const auto stored, view.Get(key));
  if (!stored.has_value()) return false;
  if (!answer->opened_token.has_value()) answer->opened_token.emplace();
  storage::records::ConnectionTokenRecord& token = **answer->opened_token;
  // At every return: nobody needs the refresh token here, nor an access token that is not given out.
  const auto wipe = absl::MakeCleanup([&token] {
    storage::WipeString(*token.mutable_access_token());
    storage::WipeString(*token.mutable_refresh_token());
  });
  RETURN_IF_ERROR(storage::ParseSecretInto(stored->payload, token));
  const bool own = parent.kind != ParentName::kUser || token.user_create_time() == session.user_create_time;
  if (!own || token.access_token().empty()) return false;
  std::string name = absl::StrCat("orgs/", session.org, key.parent.empty() ? "" : "/", key.parent, "/connections/",
                                  binding.credential);
  if (token.expire_time() != 0 && absl::ToUnixNanos(answer->now) >= token.expire_time()) {
    ASSIGN_OR_RETURN(const FoundConnection found, FindConnection(view, parent, binding.credential, answer->now));
    if (found.state != GrantState::kEnded) return false;
    answer->ended.push_back({{session.org, std::move(key.parent), binding.credential},
                             std::move(name),
                             absl::FromUnixNanos(found.record.next_attempt_time())});
    return true;
  }
  v1::ResolvedVariable* variable = answer->response->add_variables();
  variable->set_variable(binding.variable);
  variable->set_credential(std::move(name));
  variable->set_version(token.version());
  variable->set_scope(parent.Scope());
  if (token.expire_time() != 0) {
    variable->mutable_refresh_time()->set_seconds(token.expire_time() / kNanosInSecond);
    variable->mutable_refresh_time()->set_nanos(static_cast<int32_t>(token.expire_time() % kNanosInSecond));
    if (answer->dependencies != nullptr) {
      answer->dependencies->answer_expire_time =
          std::min(answer->dependencies->answer_expire_time, absl::FromUnixNanos(token.expire_time()));
    }
  }
  Answer::Place(binding, token.mutable_access_token(), variable);
  answer->used.push_back({std::move(key.parent), binding.credential, token.version(), binding.variable,
                          /*connection=*/true});
  return true;
}

absl::Status Resolver::Unavailable(const Answer& answer) {
  const Answer::Ended& first = answer.ended.front();
  return ProviderUnavailable(first.name, std::clamp(first.next_attempt - answer.now, kMinRetryDelay, kMaxRetryDelay));
}

absl::StatusOr<v1::MissingVariable> Resolver::Missing(const storage::StoreView& view, const Session& session,
                                                      const Binding& binding, const Plan& plan, Answer* answer) const {
  if (binding.source != SourceKind::kOauth) return DescribeMissing(binding, session, plan);
  storage::RecordKey provider = ProviderKey(session.org, binding.credential);
  ConnectHelp help;
  help.public_url = public_url_;
  ASSIGN_OR_RETURN(help.provider_exists, view.Contains(provider));
  if (answer->dependencies != nullptr) answer->dependencies->answer.push_back(std::move(provider));
  return DescribeMissingConnection(binding, session, plan, help);
}

}  // namespace keyferry::server
