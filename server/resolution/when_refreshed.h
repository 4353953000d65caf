#ifndef KEYFERRY_SERVER_RESOLUTION_WHEN_REFRESHED_H_
#define KEYFERRY_SERVER_RESOLUTION_WHEN_REFRESHED_H_

#include <functional>
#include <vector>

#include "server/oauth/connection_refresher.h"

namespace keyferry::server {

// Asks for fresh tokens of all these connections, and calls `done` once every one of them was answered, with or without
// a token; at once if there is none. On a thread that may not be blocked.
void WhenRefreshed(ConnectionRefresher* refresher, const std::vector<ConnectionKey>& connections,
                   std::function<void()> done);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_RESOLUTION_WHEN_REFRESHED_H_
