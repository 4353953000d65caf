#ifndef KEYFERRY_STORAGE_ENGINE_FAILING_ENGINE_H_
#define KEYFERRY_STORAGE_ENGINE_FAILING_ENGINE_H_

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/engine/engine.h"

namespace keyferry::storage {

// A view of which every read fails with the given status.
class FailingSnapshot : public EngineSnapshot {
 public:
  explicit FailingSnapshot(absl::Status status) : status_(std::move(status)) {}
  Revision revision() const override { return 0; }
  absl::StatusOr<std::optional<EngineEntry>> Get(absl::string_view) const override { return status_; }
  absl::Status Scan(absl::string_view, absl::string_view,
                    const std::function<bool(const EngineEntry&)>&) const override {
    return status_;
  }

 private:
  const absl::Status status_;
};

// An engine of which every call fails with the given status. Thread-safe.
class FailingEngine : public Engine {
 public:
  explicit FailingEngine(absl::Status status = absl::UnavailableError("this engine always fails"))
      : status_(std::move(status)) {}
  std::shared_ptr<const EngineSnapshot> Snapshot() override { return std::make_shared<FailingSnapshot>(status_); }
  void SetCommitHook(CommitHook*) override {}
  absl::StatusOr<Revision> Commit(const EngineBatch&, Durability) override { return status_; }
  absl::Status Sync() override { return status_; }
  absl::StatusOr<std::unique_ptr<EngineWatch>> Watch(Revision, std::function<void(const EngineChange&)>) override {
    return status_;
  }
  absl::Status Purge(absl::Span<const std::string>, absl::Duration) override { return status_; }
  absl::Status Verify() override { return status_; }

 private:
  const absl::Status status_;
};

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_ENGINE_FAILING_ENGINE_H_
