// Back from the provider.
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "keyferry/v1/connections.pb.h"
#include "server/audit/call_record.h"
#include "server/errors.h"
#include "server/oauth/callback_address.h"
#include "server/oauth/connect/connect_flow.h"
#include "server/oauth/connect/conversion.h"
#include "server/oauth/connect/flow_audit.h"
#include "server/oauth/connect/flow_words.h"
#include "server/oauth/connect/late_revocation.h"
#include "server/oauth/connection_records.h"
#include "server/records.h"
#include "server/status_macros.h"

namespace keyferry::server {

struct ConnectFlow::Taken {
  FoundAttempt attempt;
  // What leads to it again.
  std::string state;
  std::shared_ptr<const ProviderDefinition> provider;
  TokenClient::CodeExchange exchange;
  // Set if the code was not taken: the attempt is to be ended with these words.
  std::string refused;
};

namespace {

namespace records = storage::records;
using storage::Table;

constexpr size_t kMaxErrorBytes = 1024;

// Says the same of a state that never was, one that is forgotten, and one that is none.
absl::Status UnknownState() {
  return absl::NotFoundError(
      ThenAgain("This answer belongs to no connection that is being made, or to one that is long over."));
}

std::map<std::string, std::string> MetadataOf(const v1::OauthProvider& provider, const CallbackQuery& callback) {
  std::map<std::string, std::string> kept;
  for (const std::string& name : provider.authorization().metadata_parameters()) {
    const auto found = callback.parameters.find(name);
    if (found != callback.parameters.end()) kept[name] = ShowableText(found->second, kMaxErrorBytes);
  }
  return kept;
}

}  // namespace

absl::Status ConnectFlow::RefuseAudited(const FoundAttempt& attempt, const std::string& peer,
                                        absl::Status refusal) const {
  CallRecord entry = MakeFlowRecord(attempt.org, kCompleteMethod, attempt.record->starter(), attempt.ConnectionName(),
                                    peer, context_.clock());
  NoteFailure(&entry);
  if (!context_.audit->Store(entry).ok()) return StoreFailedForPerson();
  return refusal;
}

absl::StatusOr<FoundAttempt> ConnectFlow::FindForCallback(const storage::StoreView& view, absl::string_view state,
                                                          const Arrival& arrival) const {
  absl::StatusOr<std::optional<FoundAttempt>> found = FindAttempt(view, AttemptSecret::kState, state);
  if (!found.ok()) return StoreFailedForPerson();
  if (!found->has_value()) return UnknownState();
  FoundAttempt attempt = *std::move(*found);
  const storage::SecretBytes presented = [&] {
    std::string text = arrival.cookie(BrowserCookie(attempt.record->id()));
    return storage::SecretBytes::TakeFrom(text);
  }();
  // Before anything else is said, and without using the attempt up: who was led here with another's answer, or has
  // stolen it, learns nothing and ends nothing.
  if (attempt.record->browser_hash().empty() ||
      !storage::ConstantTimeEquals(HashOfSecret(presented.Expose()), attempt.record->browser_hash())) {
    return RefuseAudited(
        attempt, arrival.peer,
        absl::PermissionDeniedError(ThenAgain(
            "This browser is not the one that the connection was confirmed in, or it refuses cookies. If you followed "
            "a link that somebody sent you, close this page.")));
  }
  const absl::StatusOr<std::string> expected = CallbackIdOf(view, attempt.org, attempt.record->provider());
  if (!expected.ok()) return StoreFailedForPerson();
  // The flow that ended here is over: its code is neither looked at nor exchanged (RFC 9700, section 4.4.2.2). The
  // attempt is not: no honest provider answers elsewhere than where it was told to, so that what came tells nothing of
  // the answer that is waited for, which may still come, to its own address. Ending the attempt would stop nobody: who
  // knows the state and can send this browser here can as well send it to the right address, with an error.
  if (arrival.callback_id != *expected) {
    return RefuseAudited(
        attempt, arrival.peer,
        absl::PermissionDeniedError(ThenAgain(
            "This answer came to the address of another provider than the one that was asked, and was not taken. If "
            "you did not change the address yourself, tell an ADMIN.")));
  }
  if (attempt.record->code_taken() || attempt.record->state() != v1::CONNECTION_ATTEMPT_STATE_PENDING) {
    if (attempt.record->state() == v1::CONNECTION_ATTEMPT_STATE_SUCCEEDED) {
      return absl::FailedPreconditionError("This connection was already made. You can close this window.");
    }
    return absl::FailedPreconditionError(
        ThenAgain("This answer of the provider was already used, and is taken once only."));
  }
  if (attempt.IsExpired(context_.clock())) {
    return absl::FailedPreconditionError(ThenAgain("The time to connect is over."));
  }
  return attempt;
}

absl::StatusOr<ConnectFlow::Completed> ConnectFlow::Complete(const Arrival& arrival) {
  absl::StatusOr<CallbackQuery> callback = ParseCallbackQuery(arrival.query);
  if (!callback.ok()) {
    return absl::InvalidArgumentError(ThenAgain("The provider's answer is malformed."));
  }
  if (callback->state.empty()) {
    return absl::InvalidArgumentError(
        ThenAgain("This page is where providers send a browser back to. The answer names no connection."));
  }
  // Before the code is taken: what finds no place can be repeated.
  ASSIGN_OR_RETURN(const FoundAttempt attempt, FindForCallback(*context_.store->View(), callback->state, arrival));
  const absl::StatusOr<NetworkWaits::Place> place = context_.waits->Take(attempt.org);
  if (!place.ok()) {
    return absl::ResourceExhaustedError("Keyferry is busy. Reload this page in a moment.");
  }
  Taken taken;
  absl::Status status;
  for (int i = 0; i < kMaxCommitAttempts; ++i) {
    status = TakeOnce(*callback, arrival, &taken);
    if (!absl::IsAborted(status)) break;
  }
  if (absl::IsAborted(status)) return StoreFailedForPerson();
  RETURN_IF_ERROR(status);
  if (!taken.refused.empty()) return Fail(taken, /*granted=*/nullptr, taken.refused, arrival.peer);
  return Exchange(&taken, arrival.peer);
}

absl::Status ConnectFlow::TakeOnce(const CallbackQuery& callback, const Arrival& arrival, Taken* taken) {
  const std::unique_ptr<storage::StoreView> view = context_.store->View();
  ASSIGN_OR_RETURN(taken->attempt, FindForCallback(*view, callback.state, arrival));
  Record& record = *taken->attempt.record;
  taken->state = callback.state;
  storage::Mutation mutation;
  absl::StatusOr<Standing> standing = CheckStanding(*view, taken->attempt, &mutation);
  if (!standing.ok() && !absl::IsFailedPrecondition(standing.status())) return StoreFailedForPerson();
  absl::StatusOr<std::string> redirect_uri =
      RedirectUriOf(*view, context_.public_url, taken->attempt.org, record.provider());
  if (!redirect_uri.ok()) return StoreFailedForPerson();
  CallbackQuery query = callback;
  if (!standing.ok()) {
    taken->refused = std::string(standing.status().message());
  } else if (standing->provider.etag != record.provider_etag()) {
    // Where the code goes must be where the browser was sent (RFC 9700, section 4.4).
    taken->refused = ThenAgain("The provider's definition was changed while you were there.");
  } else if (const absl::Status code = TakeCode(standing->provider.definition->provider, &query); !code.ok()) {
    taken->refused = AsSentence(code.message());
  } else {
    taken->provider = standing->provider.definition;
    taken->exchange.code = std::move(query.code);
    taken->exchange.code_verifier = storage::SecretBytes::CopyOf(record.code_verifier());
    // The one that the browser was sent with (RFC 6749, section 4.1.3).
    taken->exchange.redirect_uri = *std::move(redirect_uri);
    taken->exchange.variables = UrlVariablesFrom(record.url_variables());
    taken->exchange.metadata = MetadataOf(taken->provider->provider, query);
  }
  record.set_code_taken(true);
  storage::WipeString(*record.mutable_code_verifier());
  // Failing needs nothing to stand.
  storage::Mutation only_taken;
  storage::Mutation* const used = taken->refused.empty() ? &mutation : &only_taken;
  PutAttempt(taken->attempt.org, record, taken->attempt.revision, used);
  const absl::Status committed = context_.store->Commit(*used, storage::Durability::kSynced).status();
  if (committed.ok()) return committed;
  taken->refused.clear();
  return absl::IsAborted(committed) ? committed : StoreFailedForPerson();
}

absl::StatusOr<ConnectFlow::Completed> ConnectFlow::Exchange(Taken* taken, const std::string& peer) {
  std::optional<TokenResult> result = WaitFor<TokenResult>(kProviderWait, [&](std::function<void(TokenResult)> done) {
    context_.tokens->ExchangeCode(taken->provider, std::move(taken->exchange), kProviderTimeout, std::move(done));
  });
  if (!result.has_value()) {
    return Fail(*taken, /*granted=*/nullptr, ThenAgain("The provider did not answer in time."), peer);
  }
  if (const auto* const error = absl::get_if<TokenError>(&*result)) {
    return Fail(*taken, /*granted=*/nullptr, AsSentence(error->message), peer);
  }
  const TokenGrant& grant = absl::get<TokenGrant>(*result);
  Completed completed;
  absl::Status status;
  for (int i = 0; i < kMaxCommitAttempts; ++i) {
    status = StoreOnce(*taken, grant, peer, &completed);
    if (!absl::IsAborted(status)) break;
  }
  if (!status.ok()) {
    const bool words = absl::IsFailedPrecondition(status);
    return Fail(*taken, &grant, std::string(words ? status.message() : StoreFailedForPerson().message()), peer);
  }
  const FoundAttempt& attempt = taken->attempt;
  context_.refresher->Changed({attempt.org, attempt.record->parent(), attempt.record->provider()});
  return completed;
}

absl::Status ConnectFlow::StoreOnce(const Taken& taken, const TokenGrant& grant, const std::string& peer,
                                    Completed* completed) {
  const std::unique_ptr<storage::StoreView> view = context_.store->View();
  ASSIGN_OR_RETURN(std::optional<FoundAttempt> found, FindAttempt(*view, AttemptSecret::kState, taken.state));
  if (!found.has_value()) return absl::FailedPreconditionError(ThenAgain("It took too long."));
  storage::Mutation mutation;
  // Again, since the provider may have taken its time.
  ASSIGN_OR_RETURN(const Standing standing, CheckStanding(*view, *found, &mutation));
  if (standing.provider.etag != found->record->provider_etag()) {
    return absl::FailedPreconditionError(ThenAgain("The provider's definition was changed meanwhile."));
  }
  const v1::OauthProvider& provider = standing.provider.definition->provider;
  NewGrant made;
  made.parent = found->Parent();
  made.provider = found->record->provider();
  made.url_variables = UrlVariablesFrom(found->record->url_variables());
  made.scopes.assign(found->record->scopes().begin(), found->record->scopes().end());
  made.starter = found->record->starter();
  records::ConnectionRecord connection;
  RETURN_IF_ERROR(AddGranted(*view, standing.provider, made, grant, context_.clock(), &mutation, &connection));
  found->record->set_state(v1::CONNECTION_ATTEMPT_STATE_SUCCEEDED);
  PutAttempt(found->org, *found->record, found->revision, &mutation);

  completed->connection = found->ConnectionName();
  completed->account = connection.account();
  completed->provider_display_name = provider.display_name().empty() ? made.provider : provider.display_name();
  CallRecord entry =
      MakeFlowRecord(found->org, kCompleteMethod, made.starter, completed->connection, peer, context_.clock());
  Caller caller = standing.starter.caller;
  caller.record = &entry;
  NoteCredential(caller, completed->connection, connection.version());
  return CommitAudited(context_.store, caller, std::move(mutation)).status();
}

absl::Status ConnectFlow::Fail(const Taken& taken, const TokenGrant* granted, const std::string& why,
                               const std::string& peer) {
  const std::string words = ShowableText(why, kMaxErrorBytes);
  absl::Status status;
  for (int i = 0; i < kMaxCommitAttempts; ++i) {
    status = FailOnce(taken, granted, words, peer);
    if (!absl::IsAborted(status)) break;
  }
  // An attempt that cannot be ended in the store ends with its time.
  return status.ok() ? absl::FailedPreconditionError(words) : StoreFailedForPerson();
}

absl::Status ConnectFlow::FailOnce(const Taken& taken, const TokenGrant* granted, const std::string& why,
                                   const std::string& peer) {
  const std::unique_ptr<storage::StoreView> view = context_.store->View();
  storage::Mutation mutation;
  if (granted != nullptr) {
    const Record& attempt = *taken.attempt.record;
    // As it was when the code was exchanged: by now it may lead to somebody else, or be gone.
    RETURN_IF_ERROR(AddLateRevocation(*view, {taken.attempt.org, attempt.parent(), attempt.provider()}, *taken.provider,
                                      UrlVariablesFrom(attempt.url_variables()), *granted, context_.clock(),
                                      &mutation));
  }
  ASSIGN_OR_RETURN(std::optional<FoundAttempt> found, FindAttempt(*view, AttemptSecret::kState, taken.state));
  // It is gone with its user or team.
  if (found.has_value()) {
    found->record->set_state(v1::CONNECTION_ATTEMPT_STATE_FAILED);
    found->record->set_error(why);
    PutAttempt(found->org, *found->record, found->revision, &mutation);
  }
  const FoundAttempt& attempt = taken.attempt;
  CallRecord entry = MakeFlowRecord(attempt.org, kCompleteMethod, attempt.record->starter(), attempt.ConnectionName(),
                                    peer, context_.clock());
  NoteFailure(&entry);
  mutation.Append(entry.org, entry.entry.SerializeAsString());
  return context_.store->Commit(mutation, storage::Durability::kSynced).status();
}

}  // namespace keyferry::server
