#include "storage/engine/rocksdb/status.h"

#include "absl/strings/match.h"
#include "gtest/gtest.h"

namespace keyferry::storage {
namespace {

TEST(FromRocksDbTest, Codes) {
  using rocksdb::Status;
  const struct {
    const char* name;
    Status status;
    absl::StatusCode code;
  } kCases[] = {
      {"ok", Status::OK(), absl::StatusCode::kOk},
      {"corruption", Status::Corruption("in 000012.sst"), absl::StatusCode::kDataLoss},
      {"full disk", Status::NoSpace(), absl::StatusCode::kResourceExhausted},
      {"full disk by text", Status::IOError("f", "No space left on device"), absl::StatusCode::kResourceExhausted},
      {"lock of another process", Status::IOError("While lock file: /d/LOCK", "Resource temporarily unavailable"),
       absl::StatusCode::kFailedPrecondition},
      {"lock of this process", Status::IOError("lock hold by current process"), absl::StatusCode::kFailedPrecondition},
      {"lock not permitted", Status::IOError("While lock file: /d/LOCK", "Permission denied"),
       absl::StatusCode::kPermissionDenied},
      {"not permitted", Status::IOError("f", "Permission denied"), absl::StatusCode::kPermissionDenied},
      {"missing file", Status::PathNotFound("000012.sst"), absl::StatusCode::kDataLoss},
      {"other I/O", Status::IOError("f", "Input/output error"), absl::StatusCode::kUnavailable},
      {"argument", Status::InvalidArgument("x"), absl::StatusCode::kFailedPrecondition},
      {"aborted", Status::Aborted(), absl::StatusCode::kUnavailable},
  };
  for (const auto& test : kCases) {
    SCOPED_TRACE(test.name);
    const absl::Status status = FromRocksDb(test.status, "testing");
    EXPECT_EQ(status.code(), test.code) << status;
    if (!status.ok()) {
      EXPECT_TRUE(absl::StrContains(status.message(), test.status.ToString())) << status;
    }
  }
}

}  // namespace
}  // namespace keyferry::storage
