#ifndef KEYFERRY_INJECTOR_SUPERVISE_MCP_PROCESS_H_
#define KEYFERRY_INJECTOR_SUPERVISE_MCP_PROCESS_H_

#include <sys/types.h>

#include <memory>
#include <optional>

#include "absl/strings/string_view.h"
#include "injector/mcp/growing_buffer.h"
#include "injector/mcp/line_framer.h"
#include "injector/mcp/server_process.h"
#include "injector/supervise/generation.h"
#include "injector/supervise/host.h"
#include "injector/supervise/redacted_input.h"
#include "injector/supervise/stop_sequence.h"

namespace keyferry::injector {

class McpProcess;

// Hears of a process. Must not destroy it from within a call.
class McpProcessListener {
 public:
  virtual ~McpProcessListener() = default;

  virtual void ServerLine(McpProcess& process, absl::string_view line) = 0;
  virtual void ServerOversizedLine(McpProcess& process) = 0;
  // It closed its standard output, or has ended and left nothing in it.
  virtual void ServerOutputEnded(McpProcess& process) = 0;
  // It has ended, and everything it wrote has been passed on. The last call.
  virtual void ServerGone(McpProcess& process) = 0;
  virtual void ServerInputHasRoom(McpProcess& process) = 0;
};

// One process of a stdio MCP server: lines in, lines out, with values taken out of them; its standard error goes to the
// injector's. For the loop's thread.
class McpProcess : private mcp::LineSink {
 public:
  // nullptr with `error` set if it could not be started.
  static std::unique_ptr<McpProcess> Start(const HostContext& context, McpProcessListener& listener, mcp::ProcessId id,
                                           std::shared_ptr<Generation> generation,
                                           const std::shared_ptr<const PatternSet>& patterns, size_t max_line_bytes,
                                           int& error);
  ~McpProcess() override;

  // A line including '\n'. Dropped if the process does not read any more.
  void Send(absl::string_view line);
  bool input_full() const;
  // After what was sent.
  void CloseInput();
  // Ends it: after `patience` with SIGTERM, then with SIGKILL.
  void Stop(absl::Duration patience);

  void PauseOutput();
  void ResumeOutput();
  // Nobody reads any more: the process is to find out when it writes.
  void CloseOutput();
  void SetPatterns(const std::shared_ptr<const PatternSet>& patterns);

  // While the listener is being given a line: that line, if it came in several pieces. It may be moved out.
  mcp::GrowingBuffer& gathered_line() { return framer_.gathered(); }

  // waitpid has told its end.
  void Exited(int status);

  mcp::ProcessId id() const { return id_; }
  pid_t pid() const { return pid_; }
  const std::shared_ptr<Generation>& generation() const { return generation_; }
  bool exited() const { return status_.has_value(); }
  // Of an ended process.
  int status() const { return *status_; }

 private:
  McpProcess(const HostContext& context, McpProcessListener& listener, mcp::ProcessId id, pid_t pid,
             std::shared_ptr<Generation> generation, size_t max_line_bytes);
  void OnLine(absl::string_view line) override { listener_.ServerLine(*this, line); }
  void OnOversizedLine() override { listener_.ServerOversizedLine(*this); }
  void OutputEnded();
  void TellIfGone();

  const HostContext& context_;
  McpProcessListener& listener_;
  const mcp::ProcessId id_;
  const pid_t pid_;
  const std::shared_ptr<Generation> generation_;
  mcp::LineFramer framer_;
  std::unique_ptr<OutputStream> input_;
  std::unique_ptr<RedactedInput> output_;
  std::unique_ptr<Pump> errors_;
  std::unique_ptr<StopSequence> stop_;
  std::optional<int> status_;
  bool room_asked_ = false;
  EventLoop::TimerId closing_ = 0;
  EventLoop::TimerId error_patience_ = 0;
  bool errors_given_up_ = false;
  bool told_gone_ = false;
};

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_SUPERVISE_MCP_PROCESS_H_
