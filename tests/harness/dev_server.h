#ifndef KEYFERRY_TESTS_HARNESS_DEV_SERVER_H_
#define KEYFERRY_TESTS_HARNESS_DEV_SERVER_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/connection.h"
#include "tests/harness/child_process.h"

namespace keyferry::testing {

// A real `keyferryd --dev` on a loopback port, run from the test's files. Its program is named by the environment
// variable KEYFERRYD, which the test's target sets. Ends the test program with a message if the server does not come
// up.
class DevServer {
 public:
  // Starts it on `data_dir`, which may hold the store of an earlier run, and on any free port unless `listen` names the
  // address() of that run. The log goes to `data_dir` + ".log". `flags` are further ones of keyferryd.
  static std::unique_ptr<DevServer> Start(const std::string& data_dir, const std::string& listen = "127.0.0.1:0",
                                          const std::vector<std::string>& flags = {});

  // kill -9; returns when the process is gone.
  void Kill();
  // SIGTERM; answers the exit code.
  int Stop();

  // A new connection as admin of the organization `dev`, or with the token in another file.
  std::unique_ptr<client::Connection> Connect() const;
  std::unique_ptr<client::Connection> ConnectWith(const std::string& token_file) const;

  pid_t pid() const { return process_->pid(); }
  const std::string& data_dir() const { return data_dir_; }
  const std::string& address() const { return address_; }
  // "https://HOST:PORT", where browsers reach it.
  std::string public_url() const;
  std::string ca_file() const { return data_dir_ + "/dev/ca.pem"; }
  std::string log_path() const { return data_dir_ + ".log"; }

 private:
  DevServer(std::string data_dir, std::unique_ptr<ChildProcess> process, std::string address)
      : data_dir_(std::move(data_dir)), process_(std::move(process)), address_(std::move(address)) {}

  const std::string data_dir_;
  const std::unique_ptr<ChildProcess> process_;
  const std::string address_;
};

// A fresh directory of mode 0700 below the test's temporary directory.
std::string MakeTestDirectory(const std::string& name);

// The whole content of a file; "" if it cannot be read.
std::string ReadWholeFile(const std::string& path);

}  // namespace keyferry::testing

#endif  // KEYFERRY_TESTS_HARNESS_DEV_SERVER_H_
