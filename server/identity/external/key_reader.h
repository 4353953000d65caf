#ifndef KEYFERRY_SERVER_IDENTITY_EXTERNAL_KEY_READER_H_
#define KEYFERRY_SERVER_IDENTITY_EXTERNAL_KEY_READER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/config/config.pb.h"
#include "server/http/address_guard.h"

namespace keyferry::server {

// Where an issuer's keys stand.
class KeyReader {
 public:
  virtual ~KeyReader() = default;

  // The text of the set. Waits for the network; one call at a time. Messages hold no token.
  virtual absl::StatusOr<std::string> Read() = 0;

  // Ends a Read that is under way, and every later one, with CANCELLED. From any thread.
  virtual void Stop() = 0;
};

// By the issuer's configuration, which must be complete: from its file, from its URL, or by OpenID Connect
// Discovery 1.0 (section 4: the document must name exactly this issuer). Every file is read anew each time, those of
// CAs and tokens too. Hosts that the configuration names may have any address. A `jwks_uri` on another host is what the
// issuer's document says: it is asked without the bearer token and only at addresses that `guard` allows.
std::unique_ptr<KeyReader> MakeKeyReader(const config::Issuer& issuer, const AddressGuard& guard);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_IDENTITY_EXTERNAL_KEY_READER_H_
