#ifndef KEYFERRY_STORAGE_RECORDS_TYPED_H_
#define KEYFERRY_STORAGE_RECORDS_TYPED_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/message.h"
#include "storage/crypto/secret_bytes.h"

namespace keyferry::storage {

// The message's bytes, serialized straight into wiped memory. The message itself stays the caller's to wipe.
SecretBytes SerializeSecret(const google::protobuf::MessageLite& message);

// Reads `bytes` into `message`. DATA_LOSS if they are not such a message; `message` is then wiped.
absl::Status ParseSecretInto(const SecretBytes& bytes, google::protobuf::Message& message);

// Overwrites and clears every string and bytes field of the message and of those inside it. Map fields and extensions
// are cleared without being overwritten; records have none.
void WipeMessage(google::protobuf::Message& message);

template <typename T>
absl::StatusOr<T> ParseSecret(const SecretBytes& bytes) {
  T message;
  absl::Status status = ParseSecretInto(bytes, message);
  if (!status.ok()) return status;
  return message;
}

// A message that is wiped when it goes out of scope, e.g. `Wiped<records::ValueRecord> value;`.
template <typename T>
class Wiped {
 public:
  Wiped() = default;
  explicit Wiped(T message) { message_.Swap(&message); }
  Wiped(Wiped&& other) noexcept { message_.Swap(&other.message_); }
  Wiped& operator=(Wiped&& other) noexcept {
    message_.Swap(&other.message_);
    return *this;
  }
  Wiped(const Wiped&) = delete;
  Wiped& operator=(const Wiped&) = delete;
  ~Wiped() { WipeMessage(message_); }

  T& operator*() { return message_; }
  const T& operator*() const { return message_; }
  T* operator->() { return &message_; }
  const T* operator->() const { return &message_; }

 private:
  T message_;
};

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_RECORDS_TYPED_H_
