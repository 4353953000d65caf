#ifndef KEYFERRY_CLIENT_VERSION_H_
#define KEYFERRY_CLIENT_VERSION_H_

namespace keyferry::client {

// Of every program of this build.
inline constexpr char kClientVersion[] = "0.1.0";

}  // namespace keyferry::client

#endif  // KEYFERRY_CLIENT_VERSION_H_
