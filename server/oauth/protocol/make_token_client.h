#ifndef KEYFERRY_SERVER_OAUTH_PROTOCOL_MAKE_TOKEN_CLIENT_H_
#define KEYFERRY_SERVER_OAUTH_PROTOCOL_MAKE_TOKEN_CLIENT_H_

#include <functional>
#include <memory>

#include "absl/time/time.h"
#include "server/http/http_client.h"
#include "server/oauth/protocol/token_client.h"

namespace keyferry::server {

// A token client over `http`, which must outlive it and every call under way. `clock` dates assertions and turns points
// in time into lifetimes.
std::unique_ptr<TokenClient> MakeTokenClient(HttpClient* http, std::function<absl::Time()> clock);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROTOCOL_MAKE_TOKEN_CLIENT_H_
