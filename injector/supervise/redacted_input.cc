#include "injector/supervise/redacted_input.h"

#include <utility>

namespace keyferry::injector {
namespace {

// A prompt appears this much later if it ends like a value begins.
constexpr absl::Duration kIdle = absl::Milliseconds(10);

}  // namespace

RedactedInput::RedactedInput(EventLoop& loop, SharedEndpoint endpoint, std::shared_ptr<const PatternSet> patterns,
                             std::function<void(absl::string_view)> received, std::function<void()> ended)
    : loop_(loop),
      received_(std::move(received)),
      ended_(std::move(ended)),
      input_(
          loop, std::move(endpoint), [this](absl::string_view data) { Received(data); }, [this] { Ended(); }) {
  if (patterns != nullptr) redactor_.emplace(std::move(patterns));
}

RedactedInput::~RedactedInput() { loop_.Cancel(idle_); }

void RedactedInput::SetPatterns(std::shared_ptr<const PatternSet> patterns) {
  if (redactor_.has_value()) redactor_->SetPatterns(std::move(patterns));
}

void RedactedInput::PassOn() {
  if (!clean_.empty()) received_(clean_);
  clean_.clear();
}

void RedactedInput::Received(absl::string_view data) {
  if (!redactor_.has_value()) {
    received_(data);
    return;
  }
  redactor_->Write(data, clean_);
  PassOn();
  loop_.Cancel(idle_);
  idle_ = 0;
  if (redactor_->held() == 0) return;
  idle_ = loop_.After(kIdle, [this] {
    idle_ = 0;
    redactor_->FlushIdle(clean_);
    PassOn();
  });
}

void RedactedInput::Ended() {
  loop_.Cancel(idle_);
  idle_ = 0;
  if (redactor_.has_value()) {
    redactor_->Finish(clean_);
    PassOn();
  }
  ended_();
}

Pump::Pump(EventLoop& loop, SharedEndpoint from, OutputStream& to, std::shared_ptr<const PatternSet> patterns,
           std::function<void()> ended)
    : to_(to),
      self_(std::make_shared<Pump*>(this)),
      input_(
          loop, std::move(from), std::move(patterns),
          [this](absl::string_view data) {
            to_.Write(data);
            if (!to_.full() || input_.paused()) return;
            input_.Pause();
            to_.WhenRoom([self = std::weak_ptr<Pump*>(self_)] {
              if (const auto pump = self.lock()) (*pump)->input_.Resume();
            });
          },
          std::move(ended)) {}

}  // namespace keyferry::injector
