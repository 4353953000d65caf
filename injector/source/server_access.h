#ifndef KEYFERRY_INJECTOR_SOURCE_SERVER_ACCESS_H_
#define KEYFERRY_INJECTOR_SOURCE_SERVER_ACCESS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/connection.h"
#include "client/connection_options.h"
#include "client/secret_text.h"
#include "injector/exec/exec_options.h"
#include "keyferry/v1/resolution.pb.h"

namespace keyferry::injector {

// A request that may hold a session's token, which is overwritten in the end.
class ScopedResolveRequest {
 public:
  ScopedResolveRequest() = default;
  ScopedResolveRequest(const ScopedResolveRequest&) = delete;
  ScopedResolveRequest& operator=(const ScopedResolveRequest&) = delete;
  ~ScopedResolveRequest() { client::WipeString(*request_.mutable_session_token()); }

  v1::ResolveRequest* operator->() { return &request_; }
  v1::ResolveRequest& operator*() { return request_; }

 private:
  v1::ResolveRequest request_;
};

// How the server is asked for the environment of one MCP server: where it is, as whom, in which session, for what.
class ServerAccess {
 public:
  // A connection with the identity that the files held when it was opened, and the session of that moment.
  struct Opened {
    std::unique_ptr<client::Connection> connection;
    // Empty if none is to be presented.
    client::SecretText session;
  };

  // Settles what the flags and then `environment` say. INVALID_ARGUMENT, in the form "what: where; what to do".
  static absl::StatusOr<ServerAccess> Load(const ExecOptions& options, const client::Environment& environment);

  // Reads the files of the identity and the session, anew each time, and makes a connection, over which nothing is sent
  // yet. INVALID_ARGUMENT, in the same form, if a file is not as it must be.
  absl::StatusOr<Opened> Open() const;

  // Changes whenever one of these files was replaced or written to.
  std::string FilesStamp() const;

  // Resource names of the MCP servers to ask for in turn, until one is found. At least one.
  const std::vector<std::string>& mcp_servers() const { return target_.mcp_servers; }

  // Puts everything but the process into the request.
  void Fill(const std::string& mcp_server, const client::SecretText& session, v1::ResolveRequest* request) const;

 private:
  ServerAccess(client::ConnectionOptions connection, ResolveTarget target, std::string session_file, bool allow_partial)
      : connection_(std::move(connection)),
        target_(std::move(target)),
        session_file_(std::move(session_file)),
        allow_partial_(allow_partial) {}

  client::ConnectionOptions connection_;
  ResolveTarget target_;
  std::string session_file_;
  bool allow_partial_;
};

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_SOURCE_SERVER_ACCESS_H_
