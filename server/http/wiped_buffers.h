#ifndef KEYFERRY_SERVER_HTTP_WIPED_BUFFERS_H_
#define KEYFERRY_SERVER_HTTP_WIPED_BUFFERS_H_

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/fields.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cstddef>
#include <memory>
#include <string>

#include "storage/crypto/secret_bytes.h"

namespace keyferry::server {

// Overwrites memory before it gives it back.
template <typename T>
struct WipingAllocator {
  using value_type = T;
  using is_always_equal = std::true_type;

  WipingAllocator() = default;
  template <typename U>
  WipingAllocator(const WipingAllocator<U>&) {}  // NOLINT: conversions are what an allocator needs.

  T* allocate(size_t count) { return std::allocator<T>().allocate(count); }
  void deallocate(T* data, size_t count) {
    storage::WipeMemory(data, count * sizeof(T));
    std::allocator<T>().deallocate(data, count);
  }
  template <typename U>
  bool operator==(const WipingAllocator<U>&) const {
    return true;
  }
  template <typename U>
  bool operator!=(const WipingAllocator<U>&) const {
    return false;
  }
};

// Beast's buffer, fields and body over memory that is overwritten when it is given back.
using WipedBuffer = boost::beast::basic_flat_buffer<WipingAllocator<char>>;
using WipedBody = boost::beast::http::basic_string_body<char, std::char_traits<char>, WipingAllocator<char>>;
template <bool isRequest>
using WipedParser = boost::beast::http::parser<isRequest, WipedBody, WipingAllocator<char>>;

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_HTTP_WIPED_BUFFERS_H_
