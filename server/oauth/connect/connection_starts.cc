// How connections are started.
#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/audit/call_record.h"
#include "server/credentials/record_changes.h"
#include "server/errors.h"
#include "server/oauth/connect/attempts.h"
#include "server/oauth/connect/connection_rules.h"
#include "server/oauth/connect/conversion.h"
#include "server/oauth/connect/late_revocation.h"
#include "server/oauth/connect/starter.h"
#include "server/oauth/connection_records.h"
#include "server/oauth/protocol/authorization_url.h"
#include "server/records.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Table;

constexpr int kMaxScopes = 100;
constexpr size_t kMaxScopeBytes = 256;
constexpr int kMaxVariables = 32;
constexpr size_t kMaxVariableBytes = 256;

// scope-token of RFC 6749, section 3.3.
bool IsScope(absl::string_view scope) {
  return !scope.empty() && scope.size() <= kMaxScopeBytes &&
         std::all_of(scope.begin(), scope.end(), [](char c) { return c > 0x20 && c < 0x7F && c != '"' && c != '\\'; });
}

absl::Status CheckScopes(const google::protobuf::RepeatedPtrField<std::string>& scopes) {
  if (scopes.size() > kMaxScopes) return InvalidField("scopes", "more than 100", "Ask for fewer.");
  for (int i = 0; i < scopes.size(); ++i) {
    if (IsScope(scopes[i])) continue;
    return InvalidField(absl::StrCat("scopes[", i, "]"), "not a scope",
                        "Use 1 to 256 printable ASCII characters without space, quote and backslash.");
  }
  return absl::OkStatus();
}

absl::Status CheckVariableSizes(const google::protobuf::Map<std::string, std::string>& variables) {
  if (variables.size() > kMaxVariables) return InvalidField("url_variables", "more than 32", "Give fewer.");
  for (const auto& [name, value] : variables) {
    if (name.size() <= kMaxVariableBytes && value.size() <= kMaxVariableBytes) continue;
    return InvalidField("url_variables", "a name or value is longer than 256 bytes", "Shorten it.");
  }
  return absl::OkStatus();
}

bool NeedsPerson(const v1::OauthProvider& provider) {
  return provider.grant_type() == v1::OAUTH_GRANT_TYPE_UNSPECIFIED ||
         provider.grant_type() == v1::OAUTH_GRANT_TYPE_AUTHORIZATION_CODE;
}

// A grant without a person has the rights of the organization's client, not those of whoever asks: it serves the
// organization and teams, and only an ADMIN chooses other scopes than the definition's.
absl::Status CheckGrantOfClient(const Caller& caller, const ParentName& parent,
                                const v1::StartConnectionRequest& request, const v1::OauthProvider& provider) {
  if (NeedsPerson(provider)) return absl::OkStatus();
  if (parent.kind == ParentName::kUser) {
    return InvalidField("parent", "this provider's grant is the organization's, not a person's",
                        "Connect the organization or a team.");
  }
  const auto& own = provider.authorization().scopes();
  for (int i = 0; i < request.scopes_size(); ++i) {
    if (caller.role == v1::ORG_ROLE_ADMIN || std::find(own.begin(), own.end(), request.scopes(i)) != own.end())
      continue;
    return InvalidField(absl::StrCat("scopes[", i, "]"), "not one of the provider's scopes",
                        "Leave it out, or ask an ADMIN of the organization.");
  }
  return absl::OkStatus();
}

absl::Status CheckParentExists(const storage::StoreView& view, const ParentName& parent) {
  storage::Mutation unused;
  return RequireParent(view, parent, &unused);
}

records::ConnectionAttemptRecord AttemptOf(const NewGrant& grant, absl::Time now) {
  records::ConnectionAttemptRecord record = NewAttempt(grant.parent, grant.provider, now);
  record.set_starter(grant.starter);
  SetUrlVariables(grant.url_variables, record.mutable_url_variables());
  record.mutable_scopes()->Assign(grant.scopes.begin(), grant.scopes.end());
  return record;
}

}  // namespace

absl::StatusOr<v1::StartConnectionResponse> ConnectionRules::StartConnection(
    const Caller& caller, const v1::StartConnectionRequest& request) {
  ASSIGN_OR_RETURN(const ParentName parent, ParseConnectionParent(request.parent(), "parent"));
  RETURN_IF_ERROR(CheckId(request.oauth_provider_id(), "oauth_provider_id"));
  RETURN_IF_ERROR(CheckScopes(request.scopes()));
  RETURN_IF_ERROR(CheckVariableSizes(request.url_variables()));
  const std::string connection = ChildName{parent, request.oauth_provider_id()}.Name(kConnections);
  RETURN_IF_ERROR(AuthorizeStart(context_.store, caller, parent, connection));
  const std::unique_ptr<storage::StoreView> view = context_.store->View();
  if (absl::Status exists = CheckParentExists(*view, parent); !exists.ok()) return FromStore(exists, request.parent());
  const std::string provider_name = absl::StrCat("orgs/", parent.org, "/oauthProviders/", request.oauth_provider_id());
  const absl::StatusOr<FoundProvider> provider = FindProvider(*view, parent.org, request.oauth_provider_id());
  if (!provider.ok()) return FromStore(provider.status(), provider_name);
  if (provider->definition == nullptr) return NotFound(provider_name);
  absl::StatusOr<NewGrant> grant = CheckRequest(*view, caller, parent, request, *provider);
  if (!grant.ok()) return FromStore(grant.status(), connection);
  NoteResource(caller, connection);
  RETURN_IF_ERROR(CheckGrantOfClient(caller, parent, request, provider->definition->provider));
  if (!NeedsPerson(provider->definition->provider)) return StartWithoutPerson(caller, *grant, *provider);
  return StartWithPerson(caller, *grant);
}

absl::StatusOr<NewGrant> ConnectionRules::CheckRequest(const storage::StoreView& view, const Caller& caller,
                                                       const ParentName& parent,
                                                       const v1::StartConnectionRequest& request,
                                                       const FoundProvider& provider) const {
  NewGrant grant;
  grant.parent = parent;
  grant.provider = request.oauth_provider_id();
  grant.starter = caller.Name();
  grant.scopes.assign(request.scopes().begin(), request.scopes().end());
  grant.url_variables = UrlVariables(request.url_variables().begin(), request.url_variables().end());
  if (grant.url_variables.empty()) {
    // A new grant for the same customer of the provider.
    const ConnectionKey key = {parent.org, parent.RecordParent(), grant.provider};
    ASSIGN_OR_RETURN(const auto old, ReadRecord<ConnectionRecord>(view, ConnectionRecordKey(Table::kConnection, key)));
    if (old.has_value()) {
      UrlVariables kept = UrlVariablesFrom(old->record.url_variables());
      if (CheckUrlVariables(provider.definition->provider, kept, "url_variables").ok()) {
        grant.url_variables = std::move(kept);
      }
    }
  }
  RETURN_IF_ERROR(CheckUrlVariables(provider.definition->provider, grant.url_variables, "url_variables"));
  return grant;
}

absl::StatusOr<v1::StartConnectionResponse> ConnectionRules::StartWithPerson(const Caller& caller,
                                                                             const NewGrant& grant) {
  const std::string connection = ChildName{grant.parent, grant.provider}.Name(kConnections);
  if (context_.public_url.empty()) {
    return ConnectFailed(connection, "this server has no address for browsers",
                         "Whoever runs keyferryd sets http.listen in its configuration.");
  }
  const storage::SecretBytes secret = NewUrlSecret();
  storage::Wiped<records::ConnectionAttemptRecord> record(AttemptOf(grant, context_.clock()));
  record->set_start_hash(HashOfSecret(secret.Expose()));
  {
    const OrgTurns::Turn turn = starting_.Take(caller.org);
    RETURN_IF_ERROR(CommitRepeatedly(connection, [&] { return PutStarted(caller, grant, &*record); }));
  }
  v1::StartConnectionResponse response;
  response.set_start_url(absl::StrCat(context_.public_url, "/oauth/start?t=", secret.Expose()));
  response.set_confirmation_code(record->confirmation_code());
  *response.mutable_attempt() = ToConnectionAttempt(grant.parent, *record, context_.clock());
  return response;
}

absl::Status ConnectionRules::PutStarted(const Caller& caller, const NewGrant& grant,
                                         records::ConnectionAttemptRecord* record) {
  const std::unique_ptr<storage::StoreView> view = context_.store->View();
  RETURN_IF_ERROR(CheckAttemptQuota(*view, caller.org, caller.Name(), context_.clock()));
  storage::Mutation mutation;
  RETURN_IF_ERROR(RequireParent(*view, grant.parent, &mutation));
  ASSIGN_OR_RETURN(const auto starter, LoadStarter(*view, caller.Name(), grant.parent, &mutation));
  if (!starter.has_value()) return NotFound(grant.parent.Name());
  record->set_starter_create_time(starter->create_time);
  // A provider that is deleted leaves no attempt behind.
  ASSIGN_OR_RETURN(const FoundProvider provider, FindProvider(*view, caller.org, grant.provider));
  if (provider.definition == nullptr) {
    return NotFound(absl::StrCat("orgs/", caller.org, "/oauthProviders/", grant.provider));
  }
  RequireProvider(caller.org, grant.provider, provider, &mutation);
  PutAttempt(caller.org, *record, /*expected=*/0, &mutation);
  PutAttemptIndex(caller.org, *record, record->start_hash(), &mutation);
  return CommitAudited(context_.store, caller, std::move(mutation)).status();
}

absl::StatusOr<v1::StartConnectionResponse> ConnectionRules::StartWithoutPerson(const Caller& caller,
                                                                                const NewGrant& grant,
                                                                                const FoundProvider& provider) {
  const std::string connection = ChildName{grant.parent, grant.provider}.Name(kConnections);
  const std::string& org = grant.parent.org;
  if (absl::Status quota = CheckAttemptQuota(*context_.store->View(), org, caller.Name(), context_.clock());
      !quota.ok()) {
    return FromStore(quota, connection);
  }
  ASSIGN_OR_RETURN(const NetworkWaits::Place place, context_.waits->Take(caller.org));
  std::optional<TokenResult> result = WaitFor<TokenResult>(kProviderWait, [&](std::function<void(TokenResult)> done) {
    context_.tokens->RequestWithoutPerson(provider.definition, grant.url_variables, grant.scopes, kProviderTimeout,
                                          std::move(done));
  });
  if (!result.has_value()) return NoAnswer(connection);
  if (const auto* const error = absl::get_if<TokenError>(&*result)) return StatusOf(*error, connection);

  // Stored as one that has succeeded, so that who waits for an attempt finds it.
  storage::Wiped<records::ConnectionAttemptRecord> attempt(AttemptOf(grant, context_.clock()));
  attempt->set_state(v1::CONNECTION_ATTEMPT_STATE_SUCCEEDED);
  attempt->set_code_taken(true);
  const TokenGrant& tokens = absl::get<TokenGrant>(*result);
  const absl::Status stored =
      CommitRepeatedly(connection, [&] { return PutGranted(caller, grant, provider, tokens, &*attempt); });
  if (!stored.ok()) {
    RevokeUnstored(grant, provider, tokens);
    return stored;
  }
  context_.refresher->Changed({org, grant.parent.RecordParent(), grant.provider});
  v1::StartConnectionResponse response;
  *response.mutable_attempt() = ToConnectionAttempt(grant.parent, *attempt, context_.clock());
  return response;
}

absl::Status ConnectionRules::PutGranted(const Caller& caller, const NewGrant& grant, const FoundProvider& provider,
                                         const TokenGrant& tokens, records::ConnectionAttemptRecord* attempt) {
  const std::string connection = ChildName{grant.parent, grant.provider}.Name(kConnections);
  const std::string& org = grant.parent.org;
  const std::unique_ptr<storage::StoreView> view = context_.store->View();
  storage::Mutation mutation;
  // Again, since the provider may have taken its time.
  ASSIGN_OR_RETURN(const FoundProvider now, FindProvider(*view, org, grant.provider));
  if (now.definition == nullptr || now.etag != provider.etag) return Conflict(connection);
  RequireProvider(org, grant.provider, now, &mutation);
  ASSIGN_OR_RETURN(const auto starter, LoadStarter(*view, caller.Name(), grant.parent, &mutation));
  if (!starter.has_value()) return NotFound(grant.parent.Name());
  attempt->set_starter_create_time(starter->create_time);
  ConnectionRecord record;
  RETURN_IF_ERROR(AddGranted(*view, now, grant, tokens, context_.clock(), &mutation, &record));
  PutAttempt(org, *attempt, /*expected=*/0, &mutation);
  NoteCredential(caller, connection, record.version());
  return CommitAudited(context_.store, caller, std::move(mutation)).status();
}

void ConnectionRules::RevokeUnstored(const NewGrant& grant, const FoundProvider& provider, const TokenGrant& tokens) {
  const ConnectionKey key = {grant.parent.org, grant.parent.RecordParent(), grant.provider};
  // The caller is told why it was not stored. Where a store takes this neither, the tokens end with their time.
  (void)CommitRepeatedly(grant.parent.Name(), [&]() -> absl::Status {
    const std::unique_ptr<storage::StoreView> view = context_.store->View();
    storage::Mutation mutation;
    // By the definition that they were granted under.
    RETURN_IF_ERROR(
        AddLateRevocation(*view, key, *provider.definition, grant.url_variables, tokens, context_.clock(), &mutation));
    if (mutation.empty()) return absl::OkStatus();
    return context_.store->Commit(mutation, storage::Durability::kSynced).status();
  }).ok();
}

}  // namespace keyferry::server
