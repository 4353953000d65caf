#include "injector/source/server_access.h"

#include <sys/stat.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "client/files.h"

namespace keyferry::injector {

absl::StatusOr<ServerAccess> ServerAccess::Load(const ExecOptions& options, const client::Environment& environment) {
  absl::StatusOr<client::ConnectionOptions> connection = client::LoadConnectionOptions(options.connection, environment);
  if (!connection.ok()) return connection.status();
  absl::StatusOr<ResolveTarget> target = TargetOf(options, connection->org);
  if (!target.ok()) return target.status();
  std::string session_file = options.session_file;
  const char* const variable = environment("KEYFERRY_SESSION_FILE");
  if (session_file.empty() && variable != nullptr) session_file = variable;
  return ServerAccess(*std::move(connection), *std::move(target), std::move(session_file), options.allow_partial);
}

absl::StatusOr<ServerAccess::Opened> ServerAccess::Open() const {
  Opened opened;
  if (!session_file_.empty()) {
    absl::StatusOr<client::SecretText> session = client::ReadTokenFile(session_file_, "session file");
    if (!session.ok()) return session.status();
    opened.session = *std::move(session);
  }
  absl::StatusOr<std::unique_ptr<client::Connection>> connection = client::Connection::Open(connection_);
  if (!connection.ok()) return connection.status();
  opened.connection = *std::move(connection);
  return opened;
}

std::string ServerAccess::FilesStamp() const {
  std::string stamp;
  for (const std::string* file : {&connection_.token_file, &connection_.ca_file, &connection_.client_cert_file,
                                  &connection_.client_key_file, &session_file_}) {
    struct stat found = {};
    if (file->empty() || stat(file->c_str(), &found) != 0) {
      absl::StrAppend(&stamp, "-;");
      continue;
    }
    absl::StrAppend(&stamp, found.st_dev, ",", found.st_ino, ",", found.st_size, ",", found.st_mtim.tv_sec, ".",
                    found.st_mtim.tv_nsec, ";");
  }
  return stamp;
}

void ServerAccess::Fill(const std::string& mcp_server, const client::SecretText& session,
                        v1::ResolveRequest* request) const {
  request->set_mcp_server(mcp_server);
  request->set_team(target_.team);
  request->set_allow_partial(allow_partial_);
  if (!session.empty()) request->set_session_token(session.Expose().data(), session.size());
}

}  // namespace keyferry::injector
