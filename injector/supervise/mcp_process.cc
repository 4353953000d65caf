#include "injector/supervise/mcp_process.h"

#include <errno.h>

#include <utility>

#include "injector/supervise/child.h"

namespace keyferry::injector {
namespace {

// How long the end of a process waits for a reader of its standard error.
constexpr absl::Duration kErrorPatience = absl::Seconds(1);

}  // namespace

std::unique_ptr<McpProcess> McpProcess::Start(const HostContext& context, McpProcessListener& listener,
                                              mcp::ProcessId id, std::shared_ptr<Generation> generation,
                                              const std::shared_ptr<const PatternSet>& patterns, size_t max_line_bytes,
                                              int& error) {
  Pipe in = Pipe::Make();
  Pipe out = Pipe::Make();
  Pipe err = Pipe::Make();
  if (!in.read_end.valid() || !out.read_end.valid() || !err.read_end.valid()) {
    error = errno;
    return nullptr;
  }
  const ChildStreams streams = {in.read_end.get(), out.write_end.get(), err.write_end.get()};
  const SpawnResult spawned = Spawn(context.command, generation->environment, context.state, streams);
  if (spawned.pid < 0) {
    error = spawned.error;
    return nullptr;
  }
  std::unique_ptr<McpProcess> process(
      new McpProcess(context, listener, id, spawned.pid, std::move(generation), max_line_bytes));
  McpProcess* const self = process.get();
  self->input_ = std::make_unique<OutputStream>(context.loop, SharedEndpoint::Own(std::move(in.write_end)));
  self->output_ = std::make_unique<RedactedInput>(
      context.loop, SharedEndpoint::Own(std::move(out.read_end)), patterns,
      [self](absl::string_view data) { self->framer_.Write(data, *self); }, [self] { self->OutputEnded(); });
  self->errors_ = std::make_unique<Pump>(context.loop, SharedEndpoint::Own(std::move(err.read_end)),
                                         context.error_output, patterns, [self] { self->TellIfGone(); });
  return process;
}

McpProcess::McpProcess(const HostContext& context, McpProcessListener& listener, mcp::ProcessId id, pid_t pid,
                       std::shared_ptr<Generation> generation, size_t max_line_bytes)
    : context_(context),
      listener_(listener),
      id_(id),
      pid_(pid),
      generation_(std::move(generation)),
      framer_(max_line_bytes) {}

McpProcess::~McpProcess() {
  context_.loop.Cancel(closing_);
  context_.loop.Cancel(error_patience_);
}

void McpProcess::Send(absl::string_view line) {
  if (input_ == nullptr) return;
  input_->Write(line);
  if (!input_->full() || room_asked_) return;
  room_asked_ = true;
  input_->WhenRoom([this] {
    room_asked_ = false;
    listener_.ServerInputHasRoom(*this);
  });
}

bool McpProcess::input_full() const { return input_ != nullptr && input_->full(); }

void McpProcess::CloseInput() {
  if (input_ == nullptr) return;
  input_->Finish([this] {
    closing_ = context_.loop.After(absl::ZeroDuration(), [this] {
      closing_ = 0;
      input_.reset();
    });
  });
}

void McpProcess::Stop(absl::Duration patience) {
  if (exited()) return;
  stop_ = std::make_unique<StopSequence>(context_.loop, pid_, patience, context_.options.stop_timeout);
}

void McpProcess::PauseOutput() {
  if (output_ != nullptr) output_->Pause();
}

void McpProcess::ResumeOutput() {
  if (output_ != nullptr) output_->Resume();
}

void McpProcess::CloseOutput() {
  output_.reset();
  TellIfGone();
}

void McpProcess::SetPatterns(const std::shared_ptr<const PatternSet>& patterns) {
  if (output_ != nullptr) output_->SetPatterns(patterns);
  errors_->SetPatterns(patterns);
}

void McpProcess::OutputEnded() {
  framer_.Finish(*this);
  listener_.ServerOutputEnded(*this);
  TellIfGone();
}

void McpProcess::Exited(int status) {
  status_ = status;
  stop_.reset();
  if (output_ != nullptr) output_->FinishSoon();
  errors_->FinishSoon();
  // Who does not read standard error is not kept from hearing of the end.
  error_patience_ = context_.loop.After(kErrorPatience, [this] {
    error_patience_ = 0;
    errors_given_up_ = true;
    TellIfGone();
  });
  TellIfGone();
}

void McpProcess::TellIfGone() {
  if (told_gone_ || !exited() || !(errors_->ended() || errors_given_up_) || (output_ != nullptr && !output_->ended()))
    return;
  told_gone_ = true;
  listener_.ServerGone(*this);
}

}  // namespace keyferry::injector
