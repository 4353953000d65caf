#ifndef KEYFERRY_INJECTOR_MCP_GROWING_BUFFER_H_
#define KEYFERRY_INJECTOR_MCP_GROWING_BUFFER_H_

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "absl/strings/string_view.h"

namespace keyferry::injector::mcp {

// Bytes that may become very many. Unlike a std::string it grows by realloc(3): of large blocks the system moves the
// pages then, and no byte is copied. Not thread-safe.
class GrowingBuffer {
 public:
  GrowingBuffer() = default;
  ~GrowingBuffer() { std::free(data_); }
  GrowingBuffer(GrowingBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        capacity_(std::exchange(other.capacity_, 0)) {}
  GrowingBuffer& operator=(GrowingBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    return *this;
  }

  void Reserve(size_t capacity) {
    if (capacity <= capacity_) return;
    void* const data = std::realloc(data_, capacity);
    if (data == nullptr) throw std::bad_alloc();
    data_ = static_cast<char*>(data);
    capacity_ = capacity;
  }

  void Append(absl::string_view bytes) {
    if (bytes.empty()) return;
    const size_t size = size_ + bytes.size();
    if (size > capacity_) Reserve(size + size / 2);
    std::memcpy(data_ + size_, bytes.data(), bytes.size());
    size_ = size;
  }

  // Keeps only little memory for the next bytes.
  void Clear() {
    size_ = 0;
    if (capacity_ > kKeptCapacity) GrowingBuffer(std::move(*this));
  }

  absl::string_view text() const { return {data_, size_}; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

 private:
  static constexpr size_t kKeptCapacity = size_t{256} << 10;

  char* data_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace keyferry::injector::mcp

#endif  // KEYFERRY_INJECTOR_MCP_GROWING_BUFFER_H_
