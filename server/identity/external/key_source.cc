#include "server/identity/external/key_source.h"

#include <utility>

#include "server/status_macros.h"

namespace keyferry::server {

KeySource::KeySource(std::string name, std::unique_ptr<KeyReader> reader, std::function<absl::Time()> clock,
                     Logger* logger, const Options& options)
    : name_(std::move(name)),
      reader_(std::move(reader)),
      clock_(std::move(clock)),
      logger_(logger),
      options_(options),
      asked_(std::make_shared<OneShot>()),
      thread_([this] { Run(); }) {}

KeySource::~KeySource() {
  Stop();
  thread_.join();
}

void KeySource::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    ending_ = true;
  }
  reader_->Stop();
}

std::shared_ptr<const JwkSet> KeySource::keys() const {
  absl::ReaderMutexLock lock(&mutex_);
  const absl::Time now = clock_();
  // A clock that was set back says nothing of their age.
  return now >= read_time_ && now - read_time_ <= options_.max_age ? keys_ : nullptr;
}

absl::Status KeySource::AwaitFirstRead(absl::Duration timeout) const {
  {
    absl::ReaderMutexLock lock(&mutex_);
    const auto ended = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return last_.has_value(); };
    if (!mutex_.AwaitWithTimeout(absl::Condition(&ended), timeout)) {
      return absl::DeadlineExceededError("there is no answer in time");
    }
    if (!last_->ok() && keys_ == nullptr) return *last_;
  }
  return keys() == nullptr ? absl::UnavailableError("the last ones are too old") : absl::OkStatus();
}

std::shared_ptr<OneShot> KeySource::TryRead() {
  absl::MutexLock lock(&mutex_);
  if (ending_) return nullptr;
  if (asked_ != nullptr) return asked_;
  const absl::Time now = clock_();
  // A clock that was set back must not keep everybody waiting.
  if (now >= asked_time_ && now < asked_time_ + options_.min_interval) return running_;
  asked_time_ = now;
  asked_ = std::make_shared<OneShot>();
  return asked_;
}

void KeySource::Run() {
  absl::Duration wait = absl::ZeroDuration();
  while (true) {
    std::shared_ptr<OneShot> running;
    bool ending = false;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.AwaitWithTimeout(absl::Condition(this, &KeySource::IsWoken), wait);
      running = asked_ != nullptr ? std::move(asked_) : std::make_shared<OneShot>();
      asked_ = nullptr;
      ending = ending_;
      if (!ending) running_ = running;
    }
    if (ending) return running->Fire();
    const absl::Status read = Read();
    wait = read.ok() ? options_.refresh : options_.retry;
    if (!read.ok()) {
      logger_->Write(LogLevel::kWarning, "keys of an issuer could not be read; the last ones stay",
                     {{"issuer", name_}, {"problem", read.message()}});
    }
    {
      absl::MutexLock lock(&mutex_);
      running_ = nullptr;
      last_ = read;
    }
    running->Fire();
  }
}

absl::Status KeySource::Read() {
  ASSIGN_OR_RETURN(const std::string text, reader_->Read());
  ASSIGN_OR_RETURN(std::shared_ptr<const JwkSet> keys, JwkSet::Parse(text));
  absl::MutexLock lock(&mutex_);
  keys_ = std::move(keys);
  read_time_ = clock_();
  return absl::OkStatus();
}

}  // namespace keyferry::server
