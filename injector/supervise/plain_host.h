#ifndef KEYFERRY_INJECTOR_SUPERVISE_PLAIN_HOST_H_
#define KEYFERRY_INJECTOR_SUPERVISE_PLAIN_HOST_H_

#include <memory>
#include <optional>

#include "injector/supervise/host.h"
#include "injector/supervise/input_stream.h"
#include "injector/supervise/plain_process.h"
#include "injector/supervise/pseudo_terminal.h"
#include "injector/supervise/rotation_schedule.h"
#include "injector/supervise/stop_sequence.h"

namespace keyferry::injector {

// Runs a command of any kind as one process at a time, and does on a change what `on_rotate` of the options says
// (not kMcp). For the loop's thread.
class PlainHost : public Host {
 public:
  PlainHost(const HostContext& context, OnRotate on_rotate);
  ~PlainHost() override;

  int Start(std::shared_ptr<Generation> first) override;
  void Changed(std::shared_ptr<Generation> newest) override;
  void ChildChanged(pid_t process, int status) override;
  void Forward(const struct signalfd_siginfo& signal) override;
  std::optional<int> exit_code() const override { return flushed_ ? exit_code_ : std::nullopt; }

 private:
  // 0, or the errno.
  int Launch();
  void Act();
  void Stop();
  void Suspended(int signal);
  void Gone(int status);
  void End(int code);
  // Takes the terminal, if it is this process's to take, and passes on what is typed.
  void TakeTerminal();
  void Typed(absl::string_view keys);
  bool alive() const { return process_ != nullptr && !process_->exited(); }

  const HostContext context_;
  const OnRotate on_rotate_;
  const StreamPlan plan_;
  RotationSchedule schedule_;
  RawMode raw_mode_;
  std::unique_ptr<OutputStream> output_;
  std::unique_ptr<InputStream> typed_;
  std::unique_ptr<PlainProcess> process_;
  std::unique_ptr<StopSequence> stop_;
  EventLoop::TimerId terminal_timer_ = 0;
  std::shared_ptr<Generation> newest_;
  // What the process was started with.
  std::shared_ptr<Generation> running_;
  // What it was told of by a signal since; null if nothing.
  std::shared_ptr<Generation> told_;
  bool stopping_ = false;
  // SIGTERM has come; nothing is started any more.
  bool leaving_ = false;
  std::optional<int> exit_code_;
  bool flushed_ = false;
};

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_SUPERVISE_PLAIN_HOST_H_
