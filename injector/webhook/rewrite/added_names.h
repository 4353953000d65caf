#ifndef KEYFERRY_INJECTOR_WEBHOOK_REWRITE_ADDED_NAMES_H_
#define KEYFERRY_INJECTOR_WEBHOOK_REWRITE_ADDED_NAMES_H_

#include <string>

#include "absl/strings/string_view.h"

namespace keyferry::injector::webhook {

// Names in a pod of what the rewrite adds.
inline constexpr char kInstallContainer[] = "keyferry-install";
inline constexpr char kAgentContainer[] = "keyferry-agent";
inline constexpr char kLaunchVolume[] = "keyferry-launch";
inline constexpr char kIdentityVolume[] = "keyferry-identity";
inline constexpr char kControlVolume[] = "keyferry-control";

// The volume of a container's socket: a DNS label, another one for each container.
std::string SocketVolume(absl::string_view container);
bool IsAddedContainer(absl::string_view name);
// Whether the rewrite may add a volume of that name, to this pod or another.
bool IsAddedVolume(absl::string_view name);

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_REWRITE_ADDED_NAMES_H_
