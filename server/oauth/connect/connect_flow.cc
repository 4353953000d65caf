// Up to the provider: what a start link shows, and its confirmation.
#include "server/oauth/connect/connect_flow.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "keyferry/v1/connections.pb.h"
#include "server/audit/call_record.h"
#include "server/errors.h"
#include "server/oauth/callback_address.h"
#include "server/oauth/connect/conversion.h"
#include "server/oauth/connect/flow_audit.h"
#include "server/oauth/connect/flow_words.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

absl::Status Ended(absl::string_view what) { return absl::FailedPreconditionError(ThenAgain(what)); }

bool UsesCode(const v1::OauthProvider& provider) {
  return provider.grant_type() == v1::OAUTH_GRANT_TYPE_UNSPECIFIED ||
         provider.grant_type() == v1::OAUTH_GRANT_TYPE_AUTHORIZATION_CODE;
}

bool UsesPkce(const v1::OauthProvider& provider) { return provider.authorization().pkce() != v1::OAUTH_PKCE_OFF; }

}  // namespace

absl::StatusOr<ConnectFlow::Standing> ConnectFlow::CheckStanding(const storage::StoreView& view,
                                                                 const FoundAttempt& attempt,
                                                                 storage::Mutation* mutation) const {
  Standing standing;
  const ParentName scope = attempt.Parent();
  ASSIGN_OR_RETURN(auto starter, LoadStarter(view, attempt.record->starter(), scope, mutation));
  // Somebody else may have their id by now.
  if (!starter.has_value() || starter->create_time != attempt.record->starter_create_time()) {
    return Ended("Who started this connection is no longer there.");
  }
  standing.starter = *std::move(starter);
  if (!AuthorizeStart(context_.store, standing.starter.caller, scope, attempt.ConnectionName()).ok()) {
    return Ended("Who started this connection may not make it any more.");
  }
  ASSIGN_OR_RETURN(standing.provider, FindProvider(view, attempt.org, attempt.record->provider()));
  if (standing.provider.definition == nullptr || !UsesCode(standing.provider.definition->provider)) {
    return Ended("The provider's definition was deleted or changed since the connection was started.");
  }
  if (mutation != nullptr) RequireProvider(attempt.org, attempt.record->provider(), standing.provider, mutation);
  return standing;
}

absl::StatusOr<FoundAttempt> ConnectFlow::FindForStart(const storage::StoreView& view,
                                                       absl::string_view start_secret) const {
  absl::StatusOr<std::optional<FoundAttempt>> found = FindAttempt(view, AttemptSecret::kStart, start_secret);
  if (!found.ok()) return StoreFailedForPerson();
  if (!found->has_value()) {
    return absl::NotFoundError(ThenAgain("This link is not known, or no longer. Check that it is whole."));
  }
  FoundAttempt attempt = *std::move(*found);
  // What a used link was for is nobody's to see who finds it later.
  if (!attempt.record->state_hash().empty() || attempt.record->state() != v1::CONNECTION_ATTEMPT_STATE_PENDING) {
    return Ended("This link was already used, and works once only. If it was not you who used it, tell an ADMIN.");
  }
  if (attempt.IsExpired(context_.clock())) return Ended("This link has expired.");
  return attempt;
}

absl::StatusOr<ConnectFlow::Preview> ConnectFlow::Look(absl::string_view start_secret) const {
  const std::unique_ptr<storage::StoreView> view = context_.store->View();
  ASSIGN_OR_RETURN(const FoundAttempt attempt, FindForStart(*view, start_secret));
  absl::StatusOr<Standing> standing = CheckStanding(*view, attempt, /*mutation=*/nullptr);
  if (absl::IsFailedPrecondition(standing.status())) return standing.status();
  if (!standing.ok()) return StoreFailedForPerson();
  Preview preview;
  preview.provider = attempt.record->provider();
  preview.provider_display_name = standing->provider.definition->provider.display_name();
  preview.starter = attempt.record->starter();
  preview.starter_display_name = standing->starter.display_name;
  preview.connection = attempt.ConnectionName();
  preview.scope = attempt.Parent();
  preview.confirmation_code = attempt.record->confirmation_code();
  return preview;
}

std::string ConnectFlow::BrowserCookie(absl::string_view attempt_id) {
  return absl::StrCat("__Host-keyferry-connect-", attempt_id);
}

absl::StatusOr<ConnectFlow::Confirmed> ConnectFlow::Confirm(absl::string_view start_secret, const std::string& peer) {
  Confirmed confirmed;
  absl::Status status;
  for (int i = 0; i < kMaxCommitAttempts; ++i) {
    status = ConfirmOnce(start_secret, peer, &confirmed);
    if (!absl::IsAborted(status)) break;
  }
  if (absl::IsAborted(status)) return StoreFailedForPerson();
  RETURN_IF_ERROR(status);
  return confirmed;
}

absl::Status ConnectFlow::ConfirmOnce(absl::string_view start_secret, const std::string& peer, Confirmed* confirmed) {
  const std::unique_ptr<storage::StoreView> view = context_.store->View();
  ASSIGN_OR_RETURN(FoundAttempt attempt, FindForStart(*view, start_secret));
  storage::Mutation mutation;
  absl::StatusOr<Standing> standing = CheckStanding(*view, attempt, &mutation);
  if (absl::IsFailedPrecondition(standing.status())) return standing.status();
  if (!standing.ok()) return StoreFailedForPerson();
  const v1::OauthProvider& provider = standing->provider.definition->provider;

  const storage::SecretBytes state = NewUrlSecret();
  confirmed->browser_secret = NewUrlSecret();
  confirmed->attempt_id = attempt.record->id();
  AuthorizationRequest request;
  absl::StatusOr<std::string> redirect_uri =
      RedirectUriOf(*view, context_.public_url, attempt.org, attempt.record->provider());
  if (!redirect_uri.ok()) return StoreFailedForPerson();
  request.redirect_uri = *std::move(redirect_uri);
  request.state = std::string(state.Expose());
  request.scopes.assign(attempt.record->scopes().begin(), attempt.record->scopes().end());
  request.variables = UrlVariablesFrom(attempt.record->url_variables());
  if (UsesPkce(provider)) {
    const storage::SecretBytes verifier = NewUrlSecret();
    attempt.record->set_code_verifier(verifier.Expose().data(), verifier.size());
    request.code_challenge = ChallengeOf(verifier.Expose());
  }
  absl::StatusOr<std::string> url = AuthorizationUrl(provider, request);
  storage::WipeString(request.state);
  if (!url.ok()) return Ended(absl::StrCat("The provider's definition gives no URL: ", url.status().message(), "."));
  confirmed->authorization_url = *std::move(url);

  attempt.record->set_state_hash(HashOfSecret(state.Expose()));
  attempt.record->set_browser_hash(HashOfSecret(confirmed->browser_secret.Expose()));
  attempt.record->set_provider_etag(standing->provider.etag);
  PutAttempt(attempt.org, *attempt.record, attempt.revision, &mutation);
  PutAttemptIndex(attempt.org, *attempt.record, attempt.record->state_hash(), &mutation);
  CallRecord entry = MakeFlowRecord(attempt.org, kConfirmMethod, attempt.record->starter(), attempt.ConnectionName(),
                                    peer, context_.clock());
  Caller caller = standing->starter.caller;
  caller.record = &entry;
  const absl::Status committed = CommitAudited(context_.store, caller, std::move(mutation)).status();
  return committed.ok() || absl::IsAborted(committed) ? committed : StoreFailedForPerson();
}

}  // namespace keyferry::server
