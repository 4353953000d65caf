#ifndef KEYFERRY_TESTS_INTEGRATION_WORLD_H_
#define KEYFERRY_TESTS_INTEGRATION_WORLD_H_

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "grpcpp/channel.h"
#include "grpcpp/support/status.h"
#include "server/keyferry_server.h"
#include "storage/store.h"
#include "tests/integration/any_call.h"

namespace keyferry::testing {

// Who calls. All but kRival belong to `acme`; kRival is the ADMIN of the organization `rival`.
enum class Who {
  kNobody,      // No token.
  kAdmin,       // users/root, org role ADMIN, in no team.
  kMember,      // users/mia, in no team.
  kOwner,       // users/ola, OWNER of teams/eng.
  kTeamAdmin,   // users/tim, ADMIN of teams/eng.
  kTeamMember,  // users/eli, MEMBER of teams/eng.
  kOtherTeam,   // users/ben, MEMBER of teams/ops.
  kService,     // services/portal, org role MEMBER.
  kWorkload,    // workloads/runner, granted mcpServers/github alone.
  kRival,       // orgs/rival/users/eve.
};
std::string NameOf(Who who);

// Everything readable in both organizations, by the call that reads it.
using Digest = std::map<std::string, std::string>;

// The real server over real TLS on a free loopback port, with two organizations and one token per caller, filled
// through the API. Every stored value contains kMarker. Ends the test program with a message if it cannot be set up.
// Thread-safe but for LearnWords.
class World {
 public:
  static constexpr absl::string_view kMarker = "marker-5e11ed";

  // Replaces the store that the server is given, e.g. by one that counts.
  using WrapStore = std::function<std::unique_ptr<storage::Store>(std::unique_ptr<storage::Store>)>;

  // `identity` is complete: whose word the server takes besides API tokens.
  explicit World(const WrapStore& wrap = nullptr, const config::Identity& identity = {});
  ~World();

  // The server's clock stands still between these.
  absl::Time now() const { return absl::FromUnixNanos(clock_nanos_); }
  void Advance(absl::Duration by) { clock_nanos_ += absl::ToInt64Nanoseconds(by); }

  // Drains the server, with running calls given a while.
  void StopServer();

  // Calls as `who`. `request` may hold $WORDS; see Fill. Of a stream it takes the first message, and then ends it.
  grpc::Status Call(Who who, const std::string& method, const std::string& request, std::string* response = nullptr);
  grpc::Status CallBytes(const std::vector<std::string>& authorizations, const std::string& method,
                         const std::string& request, std::string* response = nullptr);
  // As kAdmin; ends the program unless it succeeds.
  std::string MustCall(Who who, const std::string& method, const std::string& request);

  // Replaces the words that only a running server knows: $ORG_ETAG, $GITHUB_ETAG, $TOKEN (the token of users/mia),
  // $SESSION (a session of users/mia, made anew if there is none), $ATTEMPT (of users/mia to connect), $PROCESS (of a
  // watch of kWorkload's that confirms) and $REVISION (that it was sent), $PAGE_TOKEN (of ListUsers as kAdmin) and
  // $CHANGED_PAGE_TOKEN.
  std::string Fill(const std::string& text) const;
  // Reads them again.
  void LearnWords();

  // Equal before and after exactly if nothing changed that can be read, values included.
  Digest TakeDigest();

  // From now on the store refuses every write as a full disk does, or no more.
  void SetStoreFull(bool full) { store_full_ = full; }

  // "" if `status` is as every error must be: a code that a caller can act on, a detail with a reason and a next step
  // (and a field, for INVALID_ARGUMENT), and no value or token anywhere. Else what is wrong.
  std::string WhatIsWrong(const grpc::Status& status) const;

  std::string Bearer(Who who) const;
  // The token of a session of users/mia for mcpServers/github, made by kService.
  const std::string& session_token() const { return session_token_; }
  // A new token of the principal.
  std::string NewToken(const std::string& principal, int ttl_seconds);

  storage::Store* store() const { return server_->store(); }
  const std::string& address() const { return server_->address(); }
  server::KeyferryServer* server() { return server_.get(); }
  const std::string& ca() const { return ca_; }
  const std::string& directory() const { return directory_; }
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }

 private:
  void StartServer(const WrapStore& wrap, const config::Identity& identity);
  void Populate();
  std::string NewSession();
  // Makes the connections, and the attempt that $ATTEMPT names.
  void Connect();
  // Makes the process record that $PROCESS names.
  void WatchProcess();

  std::atomic<int64_t> clock_nanos_;
  std::atomic<bool> store_full_{false};
  std::string directory_;
  std::string ca_;
  std::unique_ptr<server::Logger> logger_;
  std::unique_ptr<server::KeyferryServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::map<Who, std::string> tokens_;
  std::string session_token_;
  std::string attempt_;
  std::string process_;
  int64_t revision_ = 0;
  std::vector<std::pair<std::string, std::string>> words_;
};

}  // namespace keyferry::testing

#endif  // KEYFERRY_TESTS_INTEGRATION_WORLD_H_
