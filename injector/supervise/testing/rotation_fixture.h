#ifndef KEYFERRY_INJECTOR_SUPERVISE_TESTING_ROTATION_FIXTURE_H_
#define KEYFERRY_INJECTOR_SUPERVISE_TESTING_ROTATION_FIXTURE_H_

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "injector/supervise/testing/program.h"

namespace keyferry::testing {

using Command = std::vector<std::string>;

// A command under supervision whose environment the test changes.
class RotationTest : public ::testing::Test {
 protected:
  RotationTest() {
    static int count = 0;
    directory_ = absl::StrCat(getenv("TEST_TMPDIR"), "/", getpid(), "-", ++count);
    mkdir(directory_.c_str(), 0700);
    mkfifo((directory_ + "/control").c_str(), 0600);
    // Both ends, so that neither side waits for the other.
    control_ = open((directory_ + "/control").c_str(), O_RDWR | O_CLOEXEC);
  }
  ~RotationTest() override {
    if (HasFailure() && program_ != nullptr) fprintf(stderr, "standard error:\n%s", program_->ErrorsSoFar().c_str());
    close(control_);
  }

  void Launch(const Command& command, const Command& options, const std::string& first) {
    Program::Options how;
    how.environment = {absl::StrCat("KEYFERRY_TEST_CONTROL=", directory_, "/control"),
                       absl::StrCat("KEYFERRY_TEST_REPORT=", directory_, "/report"),
                       absl::StrCat("KEYFERRY_TEST_FIRST=", first)};
    program_ = Program::Start(Supervised(command, options), how);
  }

  void LaunchServer(const Command& options, const std::string& first = "GENERATION=1") {
    Command all = {"--debounce=0"};
    all.insert(all.end(), options.begin(), options.end());
    Launch({DataFile("injector/supervise/testing/scripted_server")}, all, first);
    Send(
        "{\"jsonrpc\":\"2.0\",\"id\":\"init\",\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-06-18\","
        "\"capabilities\":{\"sampling\":{}},\"clientInfo\":{\"name\":\"test\",\"version\":\"1\"}}}");
    EXPECT_THAT(Receive(), ::testing::HasSubstr("\"id\":\"init\""));
    Send("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}");
  }

  void Change(const std::string& environment) {
    const std::string line = environment + "\n";
    ASSERT_EQ(write(control_, line.data(), line.size()), static_cast<ssize_t>(line.size()));
  }

  void Send(const std::string& line) { program_->Write(line + "\n"); }
  // The next line that is not a list_changed notification.
  std::string Receive() {
    while (true) {
      std::string line = program_->ReadLine();
      if (!absl::StrContains(line, "list_changed")) return line;
      ++list_changed_;
    }
  }
  void SendCall(int id, const std::string& tool, const std::string& argument = "") {
    Send(absl::StrCat("{\"jsonrpc\":\"2.0\",\"id\":", id, ",\"method\":\"tools/call\",\"params\":{\"name\":\"", tool,
                      "\",\"argument\":\"", argument, "\"}}"));
  }
  // The text that the tool answered with.
  std::string Call(int id, const std::string& tool, const std::string& argument = "") {
    SendCall(id, tool, argument);
    return Text(Receive(), id);
  }
  static std::string Text(const std::string& line, int id) {
    EXPECT_THAT(line, ::testing::HasSubstr(absl::StrCat("\"id\":", id, ",")));
    const std::string mark = "\"text\":\"";
    const size_t at = line.find(mark);
    if (at == std::string::npos) return line;
    return line.substr(at + mark.size(), line.find('"', at + mark.size()) - at - mark.size());
  }
  // Asks until a process of that generation answers.
  void AwaitGeneration(const std::string& generation) {
    for (int i = 0; i < 2000; ++i) {
      if (absl::StartsWith(Call(1000 + i, "who"), generation + " ")) return;
      usleep(5000);
    }
    FAIL() << "no process has generation " << generation;
  }
  static void Count(const std::string& line, std::map<int, int>& answers) {
    const size_t at = line.find("\"id\":") + 5;
    ++answers[std::stoi(line.substr(at))];
  }
  // As AwaitGeneration, while answers to other calls come in.
  void AwaitGenerationCounting(int generation, std::map<int, int>& answers) {
    for (int id = 1000;; ++id) {
      SendCall(id, "who");
      std::string line;
      while (!absl::StrContains(line = Receive(), absl::StrCat("\"id\":", id, ","))) Count(line, answers);
      if (absl::StartsWith(Text(line, id), absl::StrCat(generation, " "))) return;
      usleep(2000);
    }
  }
  std::string Reports() {
    std::ifstream file(directory_ + "/report");
    return std::string(std::istreambuf_iterator<char>(file), {});
  }
  // Without reading anything.
  bool EndsWithin(absl::Duration time) {
    const absl::Time end = absl::Now() + time;
    while (absl::Now() < end) {
      std::ifstream file(absl::StrCat("/proc/", program_->pid(), "/stat"));
      const std::string stat((std::istreambuf_iterator<char>(file)), {});
      if (absl::StrContains(stat, ") Z ")) return true;
      usleep(5000);
    }
    return false;
  }
  int EndOfInput() {
    program_->CloseInput();
    return program_->Finish();
  }

  std::string directory_;
  int control_;
  std::unique_ptr<Program> program_;
  int list_changed_ = 0;
};

}  // namespace keyferry::testing

#endif  // KEYFERRY_INJECTOR_SUPERVISE_TESTING_ROTATION_FIXTURE_H_
