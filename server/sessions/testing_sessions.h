#ifndef KEYFERRY_SERVER_SESSIONS_TESTING_SESSIONS_H_
#define KEYFERRY_SERVER_SESSIONS_TESTING_SESSIONS_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/directory/testing_directory.h"
#include "server/mcpservers/mcp_server_rules.h"
#include "server/resolution/resolver.h"
#include "server/sessions/session_rules.h"
#include "server/usage/usage_recorder.h"

namespace keyferry::server {

// Testonly. A TestDirectory with
// - users: ada (MEMBER of the teams eng and ops), bob (in no team) and the ADMIN root;
// - services: platform, which may create sessions, and console, an ADMIN that may not;
// - workloads: runner and spare, which may use sessions, and plain, which may not; all are granted every MCP server;
// - MCP servers: `github` and `other` of the org, `builder` of eng; each binds A to the credential TOKEN;
// - TOKEN of ada ("personal"), eng ("team") and the org ("org").
class TestSessions {
 public:
  explicit TestSessions(SessionLimits limits = SessionLimits());

  // A request for ada and `github`.
  static v1::CreateSessionRequest Request(const std::string& user = "ada");
  absl::StatusOr<v1::CreateSessionResponse> Create(const Caller& caller, const v1::CreateSessionRequest& request) {
    return sessions.CreateSession(caller, request);
  }
  // By the service platform; aborts if it fails.
  v1::CreateSessionResponse Made(const v1::CreateSessionRequest& request = Request());
  Caller Platform() { return directory.As("orgs/acme/services/platform"); }

  // What the workload, or another principal, gets for A: the value, or the reason of the refusal.
  std::string Resolve(const std::string& token, const std::string& server = kGithub,
                      const std::string& principal = "orgs/acme/workloads/runner", const std::string& team = "");
  absl::Status Refusal(const std::string& token, const std::string& server = kGithub,
                       const std::string& principal = "orgs/acme/workloads/runner", const std::string& team = "");

  void PutToken(const std::string& parent, const std::string& value);
  void DeleteToken(const std::string& parent);
  // Of all sessions that the ADMIN is shown, the names' last segments joined by spaces, newest first.
  std::string Listed();
  bool IsStored(const v1::Session& session);

  static constexpr char kGithub[] = "orgs/acme/mcpServers/github";
  static constexpr char kBuilder[] = "orgs/acme/teams/eng/mcpServers/builder";

  TestDirectory directory;
  AuditLog audit;
  std::unique_ptr<UsageRecorder> usage;
  McpServerRules servers;
  SessionRules sessions;
  Resolver resolver;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_SESSIONS_TESTING_SESSIONS_H_
