#ifndef KEYFERRY_INJECTOR_SUPERVISE_REDACTED_INPUT_H_
#define KEYFERRY_INJECTOR_SUPERVISE_REDACTED_INPUT_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "injector/redact/redactor.h"
#include "injector/supervise/input_stream.h"
#include "injector/supervise/output_stream.h"

namespace keyferry::injector {

// What a process writes, with values taken out. For the loop's thread.
class RedactedInput {
 public:
  // `patterns` is null if nothing is to be taken out. `received` and `ended` as for InputStream.
  RedactedInput(EventLoop& loop, SharedEndpoint endpoint, std::shared_ptr<const PatternSet> patterns,
                std::function<void(absl::string_view)> received, std::function<void()> ended);
  ~RedactedInput();
  RedactedInput(const RedactedInput&) = delete;
  RedactedInput& operator=(const RedactedInput&) = delete;

  // No effect if nothing was to be taken out.
  void SetPatterns(std::shared_ptr<const PatternSet> patterns);

  void Pause() { input_.Pause(); }
  void Resume() { input_.Resume(); }
  bool paused() const { return input_.paused(); }
  bool ended() const { return input_.ended(); }
  void FinishSoon(absl::Duration patience = absl::ZeroDuration()) { input_.FinishSoon(patience); }

 private:
  void Received(absl::string_view data);
  void Ended();
  void PassOn();

  EventLoop& loop_;
  std::optional<Redactor> redactor_;
  const std::function<void(absl::string_view)> received_;
  const std::function<void()> ended_;
  std::string clean_;
  EventLoop::TimerId idle_ = 0;
  InputStream input_;
};

// Passes what a process writes on to a stream, and lets the process wait while that is full. For the loop's thread.
class Pump {
 public:
  // `ended` is called once everything was given to `to`, which must outlive this object.
  Pump(EventLoop& loop, SharedEndpoint from, OutputStream& to, std::shared_ptr<const PatternSet> patterns,
       std::function<void()> ended);

  void SetPatterns(std::shared_ptr<const PatternSet> patterns) { input_.SetPatterns(std::move(patterns)); }
  bool ended() const { return input_.ended(); }
  void FinishSoon(absl::Duration patience = absl::ZeroDuration()) { input_.FinishSoon(patience); }

 private:
  OutputStream& to_;
  // Outlived by what the stream was asked to call.
  std::shared_ptr<Pump*> self_;
  RedactedInput input_;
};

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_SUPERVISE_REDACTED_INPUT_H_
