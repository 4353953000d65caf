#include "storage/crypto/secret_bytes.h"

#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <utility>

#include "openssl/mem.h"
#include "openssl/rand.h"

namespace keyferry::storage {
namespace {

std::unique_ptr<uint8_t[]> Allocate(size_t size) {
  if (size == 0) return nullptr;
  // Not value-initialized: every caller fills it.
  return std::unique_ptr<uint8_t[]>(new uint8_t[size]);
}

// Whether memory can be locked without a limit. Under one, locking would make later allocations fail.
bool MayLockMemory() {
  rlimit limit;
  if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY) return true;
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  return syscall(SYS_capget, &header, data) == 0 && (data[0].effective & (1u << CAP_IPC_LOCK)) != 0;
}

}  // namespace

void WipeMemory(void* data, size_t size) {
  if (size != 0) OPENSSL_cleanse(data, size);
}

void WipeString(std::string& text) {
  text.resize(text.capacity());
  WipeMemory(text.data(), text.size());
  text.clear();
}

SecretBytes::SecretBytes(size_t size) : data_(Allocate(size)), size_(size) {
  if (size != 0) std::memset(data_.get(), 0, size);
}

SecretBytes SecretBytes::CopyOf(absl::string_view bytes) {
  SecretBytes out;
  out.data_ = Allocate(bytes.size());
  out.size_ = bytes.size();
  if (!bytes.empty()) std::memcpy(out.data_.get(), bytes.data(), bytes.size());
  return out;
}

SecretBytes SecretBytes::TakeFrom(std::string& text) {
  SecretBytes out = CopyOf(text);
  WipeString(text);
  return out;
}

SecretBytes::SecretBytes(SecretBytes&& other) noexcept
    : data_(std::move(other.data_)), size_(std::exchange(other.size_, 0)) {}

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
  if (this == &other) return *this;
  WipeMemory(data_.get(), size_);
  data_ = std::move(other.data_);
  size_ = std::exchange(other.size_, 0);
  return *this;
}

SecretBytes::~SecretBytes() { WipeMemory(data_.get(), size_); }

SecretBytes SecretBytes::Clone() const { return CopyOf(Expose()); }

absl::string_view SecretBytes::Expose() const {
  return absl::string_view(reinterpret_cast<const char*>(data_.get()), size_);
}

absl::Span<uint8_t> SecretBytes::ExposeMutable() { return absl::MakeSpan(data_.get(), size_); }

void SecretBytes::Truncate(size_t size) {
  if (size >= size_) return;
  // The tail is wiped here because the destructor only knows the shorter size.
  WipeMemory(data_.get() + size, size_ - size);
  size_ = size;
}

bool ConstantTimeEquals(absl::string_view a, absl::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

void RandomBytes(absl::Span<uint8_t> out) {
  // BoringSSL aborts by itself when the system has no randomness; the check keeps that promise if it ever returns.
  if (RAND_bytes(out.data(), out.size()) != 1) std::abort();
}

std::string RandomString(size_t size) {
  std::string out(size, '\0');
  RandomBytes(absl::MakeSpan(reinterpret_cast<uint8_t*>(out.data()), size));
  return out;
}

void HardenProcess() {
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  const rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  // Pages are locked as they come into use, so this costs no memory by itself. Nothing depends on its success.
  if (MayLockMemory() && mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0) munlockall();
}

}  // namespace keyferry::storage
