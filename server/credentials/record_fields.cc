#include "server/credentials/record_fields.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "openssl/sha.h"
#include "server/errors.h"
#include "storage/crypto/secret_bytes.h"

namespace keyferry::server {
namespace {

constexpr int64_t kNanosPerSecond = 1000 * 1000 * 1000;
// 2200-01-01T00:00:00Z; nanoseconds in 64 bits end in 2262.
constexpr int64_t kEndSeconds = 7258118400;
constexpr size_t kEtagBytes = 12;

}  // namespace

std::string NewIncarnation() { return storage::RandomString(16); }

std::string RecordEtag(absl::string_view incarnation, int64_t change_count) {
  const std::string text = absl::StrCat(incarnation, ":", change_count);
  uint8_t digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const uint8_t*>(text.data()), text.size(), digest);
  return absl::WebSafeBase64Escape(absl::string_view(reinterpret_cast<const char*>(digest), kEtagBytes));
}

absl::StatusOr<int64_t> NanosFrom(const google::protobuf::Timestamp& time, absl::string_view field) {
  if (time.seconds() < 0 || time.seconds() >= kEndSeconds || time.nanos() < 0 || time.nanos() >= kNanosPerSecond) {
    return InvalidField(field, "not a time of the years 1970 to 2199", "Send a timestamp within those years.");
  }
  return time.seconds() * kNanosPerSecond + time.nanos();
}

google::protobuf::Timestamp TimestampFrom(int64_t unix_nanos) {
  google::protobuf::Timestamp time;
  int64_t seconds = unix_nanos / kNanosPerSecond;
  int64_t nanos = unix_nanos % kNanosPerSecond;
  if (nanos < 0) {
    nanos += kNanosPerSecond;
    --seconds;
  }
  time.set_seconds(seconds);
  time.set_nanos(static_cast<int32_t>(nanos));
  return time;
}

}  // namespace keyferry::server
