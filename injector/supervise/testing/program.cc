#include "injector/supervise/testing/program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "absl/strings/match.h"

namespace keyferry::testing {
namespace {

constexpr int kPatienceMs = 20000;

[[noreturn]] void GiveUp(const char* what) {
  fprintf(stderr, "%s\n", what);
  abort();
}

// What the test is run with, less what it does to signals.
[[noreturn]] void Execute(const std::vector<std::string>& command, const Program::Options& options) {
  for (const std::string& variable : options.environment) putenv(strdup(variable.c_str()));
  if (options.prepare) options.prepare();
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  execvp(arguments[0], arguments.data());
  _exit(127);
}

}  // namespace

std::unique_ptr<Program> Program::Start(const std::vector<std::string>& command, const Options& options) {
  int in[2], out[2], err[2];
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0) GiveUp("no pipes");
  signal(SIGPIPE, SIG_IGN);
  std::unique_ptr<Program> program(new Program());
  program->pid_ = fork();
  if (program->pid_ == 0) {
    signal(SIGPIPE, SIG_DFL);
    dup2(in[0], 0);
    dup2(out[1], 1);
    dup2(err[1], 2);
    Execute(command, options);
  }
  close(in[0]);
  close(out[1]);
  close(err[1]);
  program->in_ = in[1];
  program->out_ = out[0];
  program->err_ = err[0];
  fcntl(in[1], F_SETFL, O_NONBLOCK);
  return program;
}

Program::~Program() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  for (int descriptor : {in_, out_, err_}) {
    if (descriptor >= 0) close(descriptor);
  }
}

void Program::CloseInput() {
  close(in_);
  in_ = -1;
}

void Program::CloseOutput() {
  close(out_);
  out_ = -1;
}

bool Program::ReadSome(bool errors) {
  struct pollfd both[] = {{out_, POLLIN, 0}, {errors ? err_ : -1, POLLIN, 0}};
  if (both[0].fd < 0 && both[1].fd < 0) return false;
  if (poll(both, 2, kPatienceMs) <= 0) GiveUp("the program says nothing");
  int* const descriptors[] = {&out_, &err_};
  std::string* const texts[] = {&output_, &errors_};
  char buffer[65536];
  for (int i = 0; i < 2; ++i) {
    if (both[i].revents == 0) continue;
    const ssize_t size = read(*descriptors[i], buffer, sizeof(buffer));
    if (size > 0) {
      texts[i]->append(buffer, static_cast<size_t>(size));
    } else {
      close(*descriptors[i]);
      *descriptors[i] = -1;
    }
  }
  return true;
}

// Reads meanwhile: the program may write as much as it is written to.
void Program::Write(absl::string_view data) {
  while (!data.empty()) {
    struct pollfd all[] = {{in_, POLLOUT, 0}, {out_, POLLIN, 0}, {errors_read_ ? err_ : -1, POLLIN, 0}};
    if (poll(all, 3, kPatienceMs) <= 0) GiveUp("the program does not read");
    if (all[1].revents != 0 || all[2].revents != 0) ReadSome(errors_read_);
    if (all[0].revents == 0) continue;
    const ssize_t size = write(in_, data.data(), data.size());
    if (size > 0) {
      data.remove_prefix(static_cast<size_t>(size));
    } else if (errno != EAGAIN) {
      return;
    }
  }
}

std::string Program::ReadLine() {
  size_t searched = 0;
  while (true) {
    const size_t end = output_.find('\n', searched);
    searched = output_.size();
    if (end != std::string::npos) {
      std::string line = output_.substr(0, end);
      output_.erase(0, end + 1);
      return line;
    }
    if (out_ < 0) return "";
    ReadSome(errors_read_);
  }
}

std::string Program::ErrorsSoFar() {
  struct pollfd one = {err_, POLLIN, 0};
  while (err_ >= 0 && poll(&one, 1, 0) > 0) {
    ReadSome(/*errors=*/true);
    one.fd = err_;
  }
  return errors_;
}

void Program::AwaitError(absl::string_view text) {
  while (!absl::StrContains(errors_, text)) {
    if (!ReadSome(/*errors=*/true)) GiveUp(("never said: " + std::string(text) + "\n" + errors_).c_str());
  }
}

int Program::Finish() {
  while (ReadSome(/*errors=*/true)) {
  }
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  return status;
}

Outcome RunProgram(const std::vector<std::string>& command, absl::string_view input, const Program::Options& options) {
  const std::unique_ptr<Program> program = Program::Start(command, options);
  program->Write(input);
  program->CloseInput();
  Outcome outcome;
  outcome.status = program->Finish();
  outcome.output = program->output();
  outcome.errors = program->errors();
  return outcome;
}

std::string DataFile(const std::string& path) {
  const char* const root = getenv("TEST_SRCDIR");
  return root == nullptr ? path : std::string(root) + "/keyferry/" + path;
}

std::vector<std::string> Supervised(const std::vector<std::string>& command, const std::vector<std::string>& options) {
  std::vector<std::string> result = {DataFile("injector/supervise/testing/supervised_run")};
  result.insert(result.end(), options.begin(), options.end());
  result.push_back("--");
  result.insert(result.end(), command.begin(), command.end());
  return result;
}

}  // namespace keyferry::testing
