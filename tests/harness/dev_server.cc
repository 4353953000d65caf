#include "tests/harness/dev_server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <fstream>
#include <sstream>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/ascii.h"
#include "absl/time/clock.h"
#include "client/connection_options.h"

namespace keyferry::testing {
namespace {

constexpr absl::Duration kReadyTimeout = absl::Seconds(60);

[[noreturn]] void Die(const std::string& what) {
  fprintf(stderr, "%s\n", what.c_str());
  abort();
}

}  // namespace

std::string ReadWholeFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string MakeTestDirectory(const std::string& name) {
  const char* root = getenv("TEST_TMPDIR");
  std::string path = std::string(root == nullptr ? "/tmp" : root) + "/" + name + "-XXXXXX";
  if (mkdtemp(path.data()) == nullptr) Die("cannot make " + path);
  return path;
}

std::unique_ptr<DevServer> DevServer::Start(const std::string& data_dir, const std::string& listen,
                                            const std::vector<std::string>& flags) {
  const char* program = getenv("KEYFERRYD");
  if (program == nullptr) Die("KEYFERRYD is not set");
  const std::string log_path = data_dir + ".log";
  std::vector<std::string> command = {program, "--dev", "--data-dir", data_dir, "--listen", listen};
  command.insert(command.end(), flags.begin(), flags.end());
  std::unique_ptr<ChildProcess> process = ChildProcess::Start(command, log_path);
  if (!process->ReadLine(absl::Now() + kReadyTimeout).has_value()) {
    Die("keyferryd printed no ready line; its log:\n" + ReadWholeFile(log_path));
  }
  std::string address(absl::StripAsciiWhitespace(ReadWholeFile(data_dir + "/dev/address")));
  return absl::WrapUnique(new DevServer(data_dir, std::move(process), std::move(address)));
}

std::string DevServer::public_url() const {
  return "https://" + std::string(absl::StripAsciiWhitespace(ReadWholeFile(data_dir_ + "/dev/http_address")));
}

void DevServer::Kill() {
  process_->Signal(SIGKILL);
  process_->Wait();
}

int DevServer::Stop() {
  process_->Signal(SIGTERM);
  return process_->Wait();
}

std::unique_ptr<client::Connection> DevServer::Connect() const { return ConnectWith(data_dir_ + "/dev/admin.token"); }

std::unique_ptr<client::Connection> DevServer::ConnectWith(const std::string& token_file) const {
  client::ConnectionOptions options;
  options.address = address_;
  options.ca_file = ca_file();
  options.token_file = token_file;
  options.org = "dev";
  absl::StatusOr<std::unique_ptr<client::Connection>> connection = client::Connection::Open(options);
  if (!connection.ok()) Die(std::string(connection.status().message()));
  return *std::move(connection);
}

}  // namespace keyferry::testing
