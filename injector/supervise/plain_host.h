#ifndef KEYFERRY_INJECTOR_SUPERVISE_PLAIN_HOST_H_
#define KEYFERRY_INJECTOR_SUPERVISE_PLAIN_HOST_H_

#include <memory>
#include <optional>

#include "injector/supervise/host.h"
#include "injector/supervise/redacted_input.h"
#include "injector/supervise/rotation_schedule.h"
#include "injector/supervise/stop_sequence.h"

namespace keyferry::injector {

// Runs a command of any kind as one process at a time, and does on a change what `on_rotate` of the options says
// (not kMcp). Standard input is the command's own, so that a command that is started again reads on where the one
// before stopped. For the loop's thread.
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
  int Launch();
  void Act();
  void Stop();
  void PumpEnded();
  void GoneIfAll();
  void End(int code);

  const HostContext context_;
  const OnRotate on_rotate_;
  // Standard error goes the way of standard output.
  const bool joined_;
  RotationSchedule schedule_;
  std::unique_ptr<OutputStream> output_;
  std::unique_ptr<Pump> output_pump_;
  std::unique_ptr<Pump> error_pump_;
  std::unique_ptr<StopSequence> stop_;
  pid_t process_ = -1;
  std::optional<int> status_;
  std::shared_ptr<Generation> newest_;
  // What the process was started with, and what the one before was.
  std::shared_ptr<Generation> running_;
  std::shared_ptr<Generation> previous_;
  bool stopping_ = false;
  std::optional<int> exit_code_;
  bool flushed_ = false;
};

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_SUPERVISE_PLAIN_HOST_H_
