#ifndef KEYFERRY_STORAGE_CRYPTO_SECRET_BYTES_H_
#define KEYFERRY_STORAGE_CRYPTO_SECRET_BYTES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace keyferry::storage {

// Overwrites memory in a way that the compiler does not remove.
void WipeMemory(void* data, size_t size);

// Overwrites a string's whole capacity and leaves it empty.
void WipeString(std::string& text);

// A buffer of plaintext or key bytes: wiped on destruction and on reassignment, moved but never copied implicitly, not
// printable and not comparable with ==. It lives on the ordinary heap: the process keeps it out of core dumps and swap
// (see HardenProcess).
class SecretBytes {
 public:
  SecretBytes() = default;
  // Zero bytes, to be filled through mutable_span.
  explicit SecretBytes(size_t size);
  // Copies; the caller's own copy stays the caller's to wipe.
  static SecretBytes CopyOf(absl::string_view bytes);
  // Takes the text's bytes and wipes the text.
  static SecretBytes TakeFrom(std::string& text);

  SecretBytes(SecretBytes&& other) noexcept;
  SecretBytes& operator=(SecretBytes&& other) noexcept;
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  ~SecretBytes();

  // An explicit copy.
  SecretBytes Clone() const;

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // Shows the plaintext. Every exposure is one of these two calls, so that `grep Expose` finds them all.
  absl::string_view Expose() const;
  absl::Span<uint8_t> ExposeMutable();

  // Shortens; what is cut off is wiped.
  void Truncate(size_t size);

 private:
  std::unique_ptr<uint8_t[]> data_;
  size_t size_ = 0;
};

// Compares in time that depends only on the sizes.
bool ConstantTimeEquals(absl::string_view a, absl::string_view b);

// Fills with bytes of the operating system's generator (BoringSSL RAND_bytes). Never fails; aborts the process if the
// system cannot supply randomness.
void RandomBytes(absl::Span<uint8_t> out);
std::string RandomString(size_t size);

// Switches core dumps and ptrace by other processes of the user off (prctl PR_SET_DUMPABLE 0, RLIMIT_CORE 0). Call
// first thing in main of every program that holds secrets.
void HardenProcess();

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_CRYPTO_SECRET_BYTES_H_
