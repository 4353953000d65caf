#ifndef KEYFERRY_SERVER_RESOLUTION_ANSWER_H_
#define KEYFERRY_SERVER_RESOLUTION_ANSWER_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "server/resolution/resolver.h"
#include "storage/records/records.pb.h"
#include "storage/records/typed.h"

namespace keyferry::server {

// What one resolution has gathered. Wiped unless it is given out.
struct Resolver::Answer {
  // A connection whose token has ended, and whose fresh one somebody waits for.
  struct Ended {
    ConnectionKey key;
    std::string name;
    // Of the scheduler.
    absl::Time next_attempt;
  };

  // Puts the value after the template into the variable; nothing of it is left in `value`.
  static void Place(const Binding& binding, std::string* value, v1::ResolvedVariable* variable);

  storage::Wiped<v1::ResolveResponse> response;
  // What was opened last; its value moves on at once.
  storage::Wiped<storage::records::ValueRecord> opened;
  // The same of connections; none while no token was opened.
  std::optional<storage::Wiped<storage::records::ConnectionTokenRecord>> opened_token;
  std::vector<UsedCredential> used;
  std::vector<v1::MissingVariable> missing;
  std::vector<Ended> ended;
  // A variable waits for one of these, and the answer for the variable.
  bool incomplete = false;
  size_t bytes = 0;
  std::string mcp_server;
  // Null: nobody asks.
  Dependencies* dependencies = nullptr;
  // Awaited::waited.
  bool waited = true;
  // The one time that tokens are looked at by; none while no connection was.
  absl::Time now = absl::InfinitePast();
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_RESOLUTION_ANSWER_H_
