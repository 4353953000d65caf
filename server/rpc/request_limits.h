#ifndef KEYFERRY_SERVER_RPC_REQUEST_LIMITS_H_
#define KEYFERRY_SERVER_RPC_REQUEST_LIMITS_H_

#include <cstddef>

namespace keyferry::server {

// The largest request of a method that takes many values at once (LargeChangeMethod). All others: Dispatcher::Limits.
inline constexpr size_t kMaxLargeRequestBytes = size_t{4} << 20;

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_RPC_REQUEST_LIMITS_H_
