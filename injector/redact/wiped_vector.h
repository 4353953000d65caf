#ifndef KEYFERRY_INJECTOR_REDACT_WIPED_VECTOR_H_
#define KEYFERRY_INJECTOR_REDACT_WIPED_VECTOR_H_

#include <string.h>

#include <cstddef>
#include <memory>
#include <vector>

namespace keyferry::injector {

// Overwrites what it frees, so that a container leaves nothing behind when it grows, shrinks or ends.
template <typename T>
struct WipingAllocator {
  using value_type = T;

  WipingAllocator() = default;
  template <typename U>
  WipingAllocator(const WipingAllocator<U>&) {}

  T* allocate(size_t count) { return std::allocator<T>().allocate(count); }
  void deallocate(T* data, size_t count) {
    explicit_bzero(static_cast<void*>(data), count * sizeof(T));
    std::allocator<T>().deallocate(data, count);
  }

  friend bool operator==(const WipingAllocator&, const WipingAllocator&) { return true; }
  friend bool operator!=(const WipingAllocator&, const WipingAllocator&) { return false; }
};

// For values, what is derived from them, and output that may hold them. Elements that are erased without a reallocation
// stay in memory until the next one.
template <typename T>
using WipedVector = std::vector<T, WipingAllocator<T>>;

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_REDACT_WIPED_VECTOR_H_
