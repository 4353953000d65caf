#ifndef KEYFERRY_SERVER_VERSION_H_
#define KEYFERRY_SERVER_VERSION_H_

namespace keyferry::server {

// Semantic version of keyferryd, as `keyferryd --version` and GetCaller show it.
inline constexpr char kServerVersion[] = "0.1.0";

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_VERSION_H_
