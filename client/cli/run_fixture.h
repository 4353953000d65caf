#ifndef KEYFERRY_CLIENT_CLI_RUN_FIXTURE_H_
#define KEYFERRY_CLIENT_CLI_RUN_FIXTURE_H_

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "client/cli/run.h"
#include "client/cli/test_server.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace keyferry::client::cli {

// Runs `keyferry` in this process against a test server, with a clock that only waiting moves.
class RunTest : public testing::Test {
 protected:
  RunTest() {
    std::string pattern = testing::TempDir() + "/runXXXXXX";
    folder_ = mkdtemp(pattern.data());
    server_ = std::make_unique<TestServer>(folder_);
    variables_ = {{"KEYFERRY_ADDRESS", server_->address()},
                  {"KEYFERRY_CA_FILE", server_->ca_file()},
                  {"KEYFERRY_TOKEN_FILE", server_->token_file()},
                  {"KEYFERRY_ORG", "dev"}};
  }

  // Runs words separated by spaces with `input` as standard input and answers the exit code.
  int Keyferry(const std::string& line, const std::string& input = "") {
    return Run(absl::StrSplit(line, ' ', absl::SkipEmpty()), input);
  }

  int Run(const std::vector<std::string>& arguments, const std::string& input) {
    const std::string path = folder_ + "/stdin";
    std::ofstream(path) << input;
    Streams streams;
    streams.input = open(path.c_str(), O_RDONLY);
    streams.input_is_terminal = input_is_terminal_;
    std::ostringstream output;
    std::ostringstream error;
    streams.output = &output;
    streams.error = &error;
    streams.environment = [this](const char* name) -> const char* {
      const auto found = variables_.find(name);
      return found == variables_.end() ? nullptr : found->second.c_str();
    };
    streams.now = [this] { return now_; };
    streams.sleep = [this](absl::Duration duration) { now_ += duration; };
    if (has_browser_) {
      streams.open_browser = [this](const std::string& url) {
        opened_.push_back(url);
        return true;
      };
    }
    const int exit_code = cli::Run(arguments, streams);
    close(streams.input);
    output_ = output.str();
    error_ = error.str();
    return exit_code;
  }

  nlohmann::json Json() const { return nlohmann::json::parse(output_); }

  std::string Write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ + "/" + name) << text;
    return folder_ + "/" + name;
  }

  std::string folder_;
  std::unique_ptr<TestServer> server_;
  std::map<std::string, std::string> variables_;
  bool input_is_terminal_ = false;
  bool has_browser_ = false;
  std::vector<std::string> opened_;
  absl::Time now_ = absl::FromUnixSeconds(4000);
  std::string output_;
  std::string error_;
};

}  // namespace keyferry::client::cli

#endif  // KEYFERRY_CLIENT_CLI_RUN_FIXTURE_H_
