#ifndef KEYFERRY_CLIENT_SECRET_TEXT_H_
#define KEYFERRY_CLIENT_SECRET_TEXT_H_

#include <string.h>

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"

namespace keyferry::client {

// Overwrites a string's whole capacity and leaves it empty.
inline void WipeString(std::string& text) {
  text.resize(text.capacity());
  explicit_bzero(text.data(), text.size());
  text.clear();
}

// A buffer for a token or a credential's value: wiped on destruction and on reassignment, moved but never copied
// implicitly, not printable. Clients never link the store, so this is the clients' own small type.
class SecretText {
 public:
  SecretText() = default;
  // Zero bytes, to be filled through ExposeMutable.
  explicit SecretText(size_t size) : data_(new char[size]()), size_(size), capacity_(size) {}
  SecretText(SecretText&& other) noexcept { *this = std::move(other); }
  SecretText& operator=(SecretText&& other) noexcept {
    if (this != &other) {
      Wipe();
      data_ = std::move(other.data_);
      size_ = std::exchange(other.size_, 0);
      capacity_ = std::exchange(other.capacity_, 0);
    }
    return *this;
  }
  SecretText(const SecretText&) = delete;
  SecretText& operator=(const SecretText&) = delete;
  ~SecretText() { Wipe(); }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // Shows the text. Every exposure is one of these two calls.
  absl::string_view Expose() const { return {data_.get(), size_}; }
  char* ExposeMutable() { return data_.get(); }

  // Keeps the first `size` bytes, which must be at most size(); the rest is wiped.
  void Truncate(size_t size) {
    if (size < size_) explicit_bzero(data_.get() + size, size_ - size);
    size_ = size;
  }

 private:
  void Wipe() {
    if (data_ != nullptr) explicit_bzero(data_.get(), capacity_);
  }

  std::unique_ptr<char[]> data_;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace keyferry::client

#endif  // KEYFERRY_CLIENT_SECRET_TEXT_H_
