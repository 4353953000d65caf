#ifndef KEYFERRY_SERVER_USAGE_RESOLUTION_EVENT_H_
#define KEYFERRY_SERVER_USAGE_RESOLUTION_EVENT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "keyferry/v1/audit.pb.h"
#include "keyferry/v1/processes.pb.h"

namespace keyferry::server {

// One credential version, or access token of a connection, that a resolution gives out. `parent` and `id` are those of
// its RecordKey.
struct UsedCredential {
  std::string parent;
  std::string id;
  int64_t version = 0;
  // The environment variable that carries it.
  std::string variable;
  // `id` is that of a provider, and names a connection.
  bool connection = false;

  friend bool operator==(const UsedCredential& a, const UsedCredential& b) {
    return a.parent == b.parent && a.id == b.id && a.version == b.version && a.variable == b.variable &&
           a.connection == b.connection;
  }
};

// How a process stands to the versions of an event.
enum class Holding {
  // It holds them from now on.
  kNow,
  // It was sent them, and will confirm `revision` once it holds them.
  kOnceConfirmed,
  // It has confirmed `revision`.
  kConfirmed,
};

// One resolution: who got which versions, for which MCP server, acting for which user and team; or the confirmation
// that a process runs with them. Never a value.
struct ResolutionEvent {
  std::string org;
  // Resource names.
  std::string mcp_server;
  std::string principal;
  // Resource name of the user and id of the team whose credentials could answer; "" if none.
  std::string user;
  std::string team;
  std::vector<UsedCredential> credentials;
  // Resource name of the session that was presented; "" if none.
  std::string session;
  // The process that the values are for; without an id if the request described none.
  v1::ProcessInfo process;
  // Who the caller is to the platform that runs it; without an issuer if an API token was presented.
  v1::CallerIdentity identity;
  Holding holding = Holding::kNow;
  // Of the environment; 0 for kNow.
  int64_t revision = 0;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_USAGE_RESOLUTION_EVENT_H_
