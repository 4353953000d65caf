#ifndef KEYFERRY_TESTS_BACKUP_DRILL_H_
#define KEYFERRY_TESTS_BACKUP_DRILL_H_

#include <memory>
#include <string>
#include <vector>

#include "grpcpp/support/status.h"
#include "gtest/gtest.h"
#include "keyferry/v1/credentials.grpc.pb.h"
#include "keyferry/v1/mcp_servers.grpc.pb.h"
#include "keyferry/v1/resolution.grpc.pb.h"
#include "keyferry/v1/tokens.grpc.pb.h"
#include "tests/harness/child_process.h"
#include "tests/harness/dev_server.h"

namespace keyferry::testing {

// Runs a program to its end.
struct Outcome {
  int code = -1;
  std::string out;
  std::string err;
};
Outcome RunProgram(const std::vector<std::string>& command);

// The API as the admin of `dev`, one call after the other. Thread-safe.
class Admin {
 public:
  explicit Admin(const DevServer& server) : Admin(server.Connect()) {}
  explicit Admin(std::unique_ptr<client::Connection> connection);

  // Of the organization's credentials; whether it was acknowledged.
  bool Create(const std::string& name, const std::string& value);
  bool Delete(const std::string& name);
  bool Exists(const std::string& name);
  // What an MCP server that binds it is given; "" if it resolves to nothing.
  std::string Resolve(const std::string& name);
  // A token of the admin: its text and resource name.
  std::pair<std::string, std::string> MakeToken();
  bool Revoke(const std::string& token_name);
  // Whether the server knows who is calling.
  grpc::StatusCode WhoAmI();

 private:
  const std::unique_ptr<client::Connection> connection_;
  const std::unique_ptr<v1::CredentialService::Stub> credentials_;
  const std::unique_ptr<v1::McpServerService::Stub> servers_;
  const std::unique_ptr<v1::ResolutionService::Stub> resolution_;
  const std::unique_ptr<v1::TokenService::Stub> tokens_;
};

// A development server, backups of it, and a second one that is made from a backup.
class Drill : public ::testing::Test {
 protected:
  void StartServer() { server_ = DevServer::Start(data_dir_); }

  // `keyferry backup ...` against the running server.
  Outcome Backup(const std::vector<std::string>& arguments);
  // Makes one and answers its directory.
  std::string MakeBackup();
  // The complete backups that are there.
  std::vector<std::string> Backups() const;

  // `keyferryd COMMAND ...` with the KEK of the first server.
  Outcome Keyferryd(const std::vector<std::string>& arguments);
  // Restores to the second data directory, with certificates and KEK as an operator brings them along.
  Outcome Restore(const std::string& backup, const std::string& tokens);
  void StartRestored() { restored_ = DevServer::Start(restored_dir_); }

  const std::string root_ = MakeTestDirectory("drill");
  const std::string data_dir_ = root_ + "/data";
  const std::string backups_ = root_ + "/backups";
  const std::string restored_dir_ = root_ + "/restored";
  std::unique_ptr<DevServer> server_;
  std::unique_ptr<DevServer> restored_;
};

}  // namespace keyferry::testing

#endif  // KEYFERRY_TESTS_BACKUP_DRILL_H_
