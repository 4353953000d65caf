#ifndef KEYFERRY_INJECTOR_WEBHOOK_REWRITE_SETTING_FORMS_H_
#define KEYFERRY_INJECTOR_WEBHOOK_REWRITE_SETTING_FORMS_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace keyferry::injector::webhook {

// Forms that settings of the configuration and of annotations take alike. Each has a text that says how it is meant.

// "24h", "1h30m", "0s": from `shortest` to `longest`, in the units h, m, s and ms.
bool IsDuration(absl::string_view text, absl::Duration shortest, absl::Duration longest);
// A quantity of Kubernetes for processors, "200m", "0.5".
bool IsCpuQuantity(absl::string_view text);
inline constexpr char kCpuForm[] = "give a number of processors such as 200m or 0.5";
// And for memory, "64Mi".
bool IsMemoryQuantity(absl::string_view text);
inline constexpr char kMemoryForm[] = "give a size such as 64Mi";
// A reference of an image: 1 to 512 visible characters, none of which a shell or YAML would take for something else.
bool IsImage(absl::string_view text);
inline constexpr char kImageForm[] = "give an image such as registry.example/keyferry:1.0";
// Any uid but root's, as `restricted` Pod Security wants it.
bool ParseUid(absl::string_view text, int64_t* uid);
inline constexpr char kUidForm[] = "give a number from 1 to 2147483647";
// `[a-z0-9]([a-z0-9._-]*[a-z0-9])?`, at most 63 bytes, as Keyferry's ids are.
bool IsId(absl::string_view text);
// An id, or orgs/ORG/mcpServers/ID or orgs/ORG/teams/TEAM/mcpServers/ID.
bool IsMcpServer(absl::string_view text);
// A DNS label or subdomain of Kubernetes, at most `longest` bytes.
bool IsKubernetesName(absl::string_view text, size_t longest);
// The name of a file, or of a key in a ConfigMap: visible characters of [A-Za-z0-9._-], not "." or "..".
bool IsFileName(absl::string_view text);
// The name of an environment variable, as Kubernetes takes it: `[A-Za-z._-][A-Za-z0-9._-]*`, at most 128 bytes.
bool IsEnvironmentName(absl::string_view text);
// HOST:PORT.
bool IsAddress(absl::string_view text);

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_REWRITE_SETTING_FORMS_H_
