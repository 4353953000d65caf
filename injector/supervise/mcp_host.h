#ifndef KEYFERRY_INJECTOR_SUPERVISE_MCP_HOST_H_
#define KEYFERRY_INJECTOR_SUPERVISE_MCP_HOST_H_

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "injector/mcp/line_framer.h"
#include "injector/mcp/router.h"
#include "injector/supervise/host.h"
#include "injector/supervise/input_stream.h"
#include "injector/supervise/mcp_process.h"
#include "injector/supervise/output_stream.h"
#include "injector/supervise/rotation_schedule.h"

namespace keyferry::injector {

// Runs a stdio MCP server between this process's standard input and output, and moves the client's session to a new
// process when the environment changes. One replacement at a time; changes in the meantime lead to one more, with the
// newest environment. One that fails is tried again after a while. For the loop's thread.
class McpHost : public Host, private mcp::RouterOutput, private mcp::LineSink, private McpProcessListener {
 public:
  explicit McpHost(const HostContext& context);
  ~McpHost() override;

  int Start(std::shared_ptr<Generation> first) override;
  void Changed(std::shared_ptr<Generation> newest) override;
  void ChildChanged(pid_t process, int status) override;
  void Forward(const struct signalfd_siginfo& signal) override;
  std::optional<int> exit_code() const override { return flushed_ ? exit_code_ : std::nullopt; }

 private:
  // The router's wishes.
  void ToClient(absl::string_view line) override;
  void ToServer(mcp::ProcessId process, absl::string_view line) override;
  void CloseInput(mcp::ProcessId process) override;
  void Discard(mcp::ProcessId process, absl::string_view why) override;
  void Ready(mcp::ProcessId process) override;
  void Log(mcp::ProcessId process, absl::string_view line) override;

  // What the client sends.
  void OnLine(absl::string_view line) override;
  void OnOversizedLine() override;
  void ClientEnded();

  // What processes do.
  void ServerLine(McpProcess& process, absl::string_view line) override;
  void ServerOversizedLine(McpProcess& process) override;
  void ServerOutputEnded(McpProcess& process) override;
  void ServerGone(McpProcess& process) override;
  void ServerInputHasRoom(McpProcess& process) override;

  // Rotation.
  void RotateSoon();
  void Rotate();
  bool StartReplacement(std::shared_ptr<Generation> generation);
  void ReplacementFailed();
  void RetryLater();
  void CurrentGone(const McpProcess& process);
  bool StillServes() const;
  void EndWhenAnswered();
  int Launch(std::shared_ptr<Generation> generation);
  void RenewPatterns(const std::shared_ptr<Generation>& coming);

  void StartTimer(mcp::ProcessId process, absl::Duration delay, std::function<void()> due);
  void CancelTimer(mcp::ProcessId process);
  void HoldBackOrGoOn();
  void End(int code);
  void GiveUpOutput();
  McpProcess* Find(mcp::ProcessId id);
  // Calls `act` from the loop, for what must not happen inside a call of the router or of a process.
  void Soon(std::function<void()> act);

  const HostContext context_;
  OutputStream client_output_;
  mcp::LineFramer client_framer_;
  mcp::Router router_;
  RotationSchedule schedule_;
  std::unique_ptr<InputStream> client_input_;
  std::map<mcp::ProcessId, std::unique_ptr<McpProcess>> processes_;
  std::map<mcp::ProcessId, EventLoop::TimerId> timers_;
  std::shared_ptr<const PatternSet> patterns_;

  // Whose line the router is being given.
  McpProcess* speaking_ = nullptr;
  mcp::ProcessId last_id_ = 0;
  // Gets new requests; it may be gone already while a replacement starts.
  mcp::ProcessId current_ = 0;
  mcp::ProcessId replacement_ = 0;
  // Ends so that a serial replacement can start.
  mcp::ProcessId ending_ = 0;
  std::shared_ptr<Generation> newest_;
  // What the client was last served with.
  std::shared_ptr<Generation> good_;
  // The environment of the replacement before, whose values may still stand somewhere.
  std::shared_ptr<Generation> previous_;
  bool falling_back_ = false;
  bool rotate_again_ = false;
  static constexpr absl::Duration kFirstRetry = absl::Seconds(10);
  absl::Duration retry_delay_ = kFirstRetry;
  EventLoop::TimerId retry_ = 0;
  // Of the current process, once it is gone.
  std::optional<int> status_;
  bool client_closed_ = false;
  // Of the current process, once it is gone for good.
  std::optional<int> ended_;
  // A signal has asked to end; nothing is started any more.
  bool leaving_ = false;
  bool output_paused_ = false;
  std::optional<int> exit_code_;
  bool flushed_ = false;
  // Outlived by what the loop was asked to call.
  std::shared_ptr<McpHost*> self_;
};

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_SUPERVISE_MCP_HOST_H_
