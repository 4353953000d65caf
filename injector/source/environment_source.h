#ifndef KEYFERRY_INJECTOR_SOURCE_ENVIRONMENT_SOURCE_H_
#define KEYFERRY_INJECTOR_SOURCE_ENVIRONMENT_SOURCE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "injector/exec/failure.h"
#include "injector/source/backoff.h"
#include "injector/source/conversion.h"
#include "injector/source/problem_lines.h"
#include "injector/source/resolved_environment.h"
#include "injector/source/server_access.h"
#include "injector/source/server_link.h"
#include "keyferry/v1/processes.pb.h"

namespace keyferry::injector {

// Follows the environment of one MCP server through ResolutionService.Watch, on a thread of its own, until it is
// destroyed.
//
// A stream that ends or is silent is opened again for ever, over a new connection, with the identity and the session
// that their files hold by then, from the revision that is known. An environment that differs in nothing from the last
// one is not told again; an older one never. The values of what it was sent are in no place but the environment that it
// hands on.
//
// What the listener is told: OnProblem once for each problem (a missing variable, an unreachable server, an unreadable
// file) and when it is over; OnEnded when the server refuses the identity or the session, and the files hold the same.
class EnvironmentSource : public ReportSink {
 public:
  struct Options {
    // For the first environment.
    absl::Duration startup_timeout = absl::Seconds(30);
    // How long the server gathers changes; its own default if absent. At most 10 s.
    std::optional<absl::Duration> debounce;
    // The server sends something every 20 s.
    absl::Duration silence = absl::Seconds(60);
    // Between attempts to reach the server, and between those of an identity that was refused.
    Backoff::Limits unreachable = {absl::Milliseconds(200), absl::Seconds(30)};
    Backoff::Limits refused = {absl::Seconds(1), absl::Minutes(1)};
    // How often the files of a refused identity are looked at.
    absl::Duration file_check = absl::Seconds(2);
    // Between two confirmations of what runs, whatever is reported meanwhile: the newest report is then confirmed.
    absl::Duration between_confirmations = absl::Seconds(1);
    // How long the end of this may take to say that nothing runs, if that was told and not said yet.
    absl::Duration last_word = absl::Seconds(2);
    // Asked now and then by Open, which gives up once it answers true.
    std::function<bool()> give_up;
  };

  // Waits for the first environment, as exec does: with retries while the server is unreachable, trying the MCP servers
  // of `access` in turn. Null if there is none; `failure` then says why, with the exit code of SPEC 6. `process`
  // describes the process that the values are for; without an id it is not tracked.
  static std::unique_ptr<EnvironmentSource> Open(ServerAccess access, v1::ProcessInfo process, Options options,
                                                 ResolvedEnvironment* first, Failure* failure);
  // Ends the watch, after the last word to the server if that is due. The listener is not called any more once this
  // returns.
  ~EnvironmentSource() override;
  EnvironmentSource(const EnvironmentSource&) = delete;
  EnvironmentSource& operator=(const EnvironmentSource&) = delete;

  // Begins to tell of changes. Call once, soon after Open; `listener` must outlive this.
  void Start(EnvironmentListener* listener);

  // ReportSink: confirms to the server what runs, as soon as it can be reached, and not more often than the options
  // say.
  void Running(int64_t revision, int64_t pid) override ABSL_LOCKS_EXCLUDED(mutex_);
  // The same: the process's record ends, until something runs.
  void NothingRuns() override ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Report {
    int64_t revision = 0;
    int64_t pid = 0;
    // What ran has ended.
    bool ended = false;
  };

  EnvironmentSource(ServerAccess access, v1::ProcessInfo process, Options options);

  std::optional<Failure> First(ResolvedEnvironment* environment);
  // The first event that matters of a watch for the first environment.
  ServerLink::Event AwaitFirst(absl::Time deadline);
  v1::WatchRequest Request() ABSL_LOCKS_EXCLUDED(mutex_);

  void RunThread();
  // One stream to its end; answers how long to wait before the next one.
  absl::Duration Follow();
  absl::Duration Reopen();
  // False if the source is to stop.
  bool Pause(absl::Duration wait);
  void OnMessage();
  void OnEnvironment(v1::ResolveResponse* response);
  absl::Duration OnEnd(const client::ApiError& error);
  absl::Duration OnUnreachable(const std::string& why);
  // The server has answered.
  void OnReached();
  void Say(const std::string& line);
  void Stand(Standing standing, Failure why = {});

  void Tell(const Report& report) ABSL_LOCKS_EXCLUDED(mutex_);
  // Begins to confirm what runs unless that is done, or not possible now.
  void ConfirmRunning() ABSL_LOCKS_EXCLUDED(mutex_);
  // Says that nothing runs, if it does not and the server can be told now.
  void SayLastWord() ABSL_LOCKS_EXCLUDED(mutex_);
  void OnConfirmed() ABSL_LOCKS_EXCLUDED(mutex_);
  bool stopping() ABSL_LOCKS_EXCLUDED(mutex_);

  const Options options_;
  EnvironmentListener* listener_ = nullptr;
  const v1::ProcessInfo process_;
  const EnvironmentFingerprinter fingerprinter_;

  // Those that follow belong to the caller of Open until Start, and to the thread from there on.
  ServerLink link_;
  std::string mcp_server_;
  // Resource name of the process's record, once it is known.
  std::string record_;
  // Of the newest environment that was sent, and of the one that was handed on: the same but for its revision.
  int64_t newest_ = 0;
  int64_t handed_on_ = 0;
  EnvironmentFingerprinter::Fingerprint fingerprint_ = {};
  absl::Time last_message_;
  // Why there is no first environment yet, if the server says so.
  std::optional<client::ApiError> held_up_;
  // Whether the current stream has brought anything.
  bool reached_ = false;
  // What was told and is not over.
  bool told_problem_ = false;
  bool told_unreachable_ = false;
  bool told_ended_ = false;
  Standing standing_ = Standing::kCurrent;
  // FilesStamp of the current identity.
  std::string stamp_;
  Backoff unreachable_;
  Backoff refused_;
  ProblemLines lines_;
  // What was confirmed over the current stream, or refused for good; and when the next confirmation may follow.
  Report settled_;
  Report confirming_;
  absl::Time confirm_after_ = absl::InfinitePast();

  absl::Mutex mutex_;
  Report running_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_SOURCE_ENVIRONMENT_SOURCE_H_
