#ifndef KEYFERRY_SERVER_OAUTH_CONNECT_CONNECT_FLOW_H_
#define KEYFERRY_SERVER_OAUTH_CONNECT_CONNECT_FLOW_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/oauth/connect/attempts.h"
#include "server/oauth/connect/connect_context.h"
#include "server/oauth/connect/granted.h"
#include "server/oauth/connect/starter.h"
#include "server/oauth/protocol/authorization_url.h"
#include "storage/crypto/secret_bytes.h"

namespace keyferry::server {

// What a browser does to connect, by the authorization code grant (RFC 6749, section 4.1) with PKCE (RFC 7636) and what
// RFC 9700 asks for: Look, Confirm, and, back from the provider, Complete. Browsers are not logged in: what they
// present says which attempt they belong to, and each secret counts once. Thread-safe.
//
// Errors are for the person in front of the browser: the message is a whole text that says what happened and what to
// do. NOT_FOUND (the link or state leads nowhere), FAILED_PRECONDITION (used, expired, refused by the provider or no
// longer allowed), PERMISSION_DENIED (another browser), INVALID_ARGUMENT (malformed), RESOURCE_EXHAUSTED and
// UNAVAILABLE (the same request may succeed later).
class ConnectFlow {
 public:
  // What the context points to must outlive this.
  explicit ConnectFlow(ConnectContext context) : context_(std::move(context)) {}

  // What the person is shown before they confirm.
  struct Preview {
    std::string provider;
    std::string provider_display_name;
    // Resource names.
    std::string starter;
    std::string connection;
    std::string starter_display_name;
    ParentName scope;
    std::string confirmation_code;
  };
  // Changes nothing, however often it is asked: previews and scanners of links open them too.
  absl::StatusOr<Preview> Look(absl::string_view start_secret) const;

  struct Confirmed {
    // Where the browser goes next.
    std::string authorization_url;
    // For a cookie of the name BrowserCookie(attempt_id).
    std::string attempt_id;
    storage::SecretBytes browser_secret;
  };
  // Uses the start secret up, and binds what follows to the browser that is given `browser_secret`. Waits for a synced
  // commit.
  absl::StatusOr<Confirmed> Confirm(absl::string_view start_secret, const std::string& peer);
  static std::string BrowserCookie(absl::string_view attempt_id);

  struct Completed {
    std::string provider_display_name;
    // Resource name.
    std::string connection;
    // "" if it is not known.
    std::string account;
  };
  // A request for a callback address, as it arrived.
  struct Arrival {
    // Of the address (callback_address.h), whatever stood there.
    absl::string_view callback_id;
    absl::string_view query;
    // Answers the cookie of a name.
    std::function<std::string(absl::string_view)> cookie;
    std::string peer;
  };
  // Takes the code at most once, durably, before it is exchanged, and only where it arrived at the address of the
  // attempt's provider. Waits for commits and for the provider, up to 20 seconds.
  absl::StatusOr<Completed> Complete(const Arrival& arrival);

 private:
  using Record = storage::records::ConnectionAttemptRecord;

  // What an attempt depends on, as one view holds it.
  struct Standing {
    Starter starter;
    FoundProvider provider;
  };
  // Whether the starter is still who they were and may still connect, and the provider is there; requires that it stays
  // so at the commit of `mutation`.
  absl::StatusOr<Standing> CheckStanding(const storage::StoreView& view, const FoundAttempt& attempt,
                                         storage::Mutation* mutation) const;
  absl::StatusOr<FoundAttempt> FindForStart(const storage::StoreView& view, absl::string_view start_secret) const;
  absl::Status ConfirmOnce(absl::string_view start_secret, const std::string& peer, Confirmed* confirmed);

  // The attempt that `state` leads to, if this browser is the one that confirmed it, the address that of its provider,
  // and it waits for a code.
  absl::StatusOr<FoundAttempt> FindForCallback(const storage::StoreView& view, absl::string_view state,
                                               const Arrival& arrival) const;
  // Answers `refusal`, which leaves the attempt as it is, with an entry in the audit log.
  absl::Status RefuseAudited(const FoundAttempt& attempt, const std::string& peer, absl::Status refusal) const;
  // One attempt whose code this call has taken, and what its exchange needs.
  struct Taken;
  // Takes the code, or ends the attempt if there is none to take.
  absl::Status TakeOnce(const CallbackQuery& callback, const Arrival& arrival, Taken* taken);
  absl::StatusOr<Completed> Exchange(Taken* taken, const std::string& peer);
  // Stores what was granted and ends the attempt.
  absl::Status StoreOnce(const Taken& taken, const TokenGrant& grant, const std::string& peer, Completed* completed);
  // Ends the attempt as failed with `why` as its words, and answers them. What was granted all the same is revoked.
  absl::Status Fail(const Taken& taken, const TokenGrant* granted, const std::string& why, const std::string& peer);
  absl::Status FailOnce(const Taken& taken, const TokenGrant* granted, const std::string& why, const std::string& peer);

  const ConnectContext context_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_CONNECT_CONNECT_FLOW_H_
