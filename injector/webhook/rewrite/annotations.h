#ifndef KEYFERRY_INJECTOR_WEBHOOK_REWRITE_ANNOTATIONS_H_
#define KEYFERRY_INJECTOR_WEBHOOK_REWRITE_ANNOTATIONS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "injector/webhook/rewrite/agent_interface.h"
#include "injector/webhook/rewrite/pod_view.h"
#include "injector/webhook/rewrite/rewrite_config.h"

namespace keyferry::injector::webhook {

inline constexpr char kInjectLabel[] = "keyferry.dev/inject";
// Set by the rewrite; people do not write it.
inline constexpr char kInjectedAnnotation[] = "keyferry.dev/injected";
inline constexpr char kInjectedValue[] = "v1";
// All annotations of Keyferry's begin with it.
inline constexpr char kAnnotationPrefix[] = "keyferry.dev/";
inline constexpr char kAllowDebugAnnotation[] = "keyferry.dev/allow-debug";

// A container that gets the environment of an MCP server.
struct ChosenContainer {
  std::string name;
  std::string mcp_server;
  // Id of a team; "" for none.
  std::string team;
  // A volume of the pod and a file in it, that hold a session's token; "" for none.
  std::string session_volume;
  std::string session_file;
  bool allow_partial = false;
  LaunchCall launch;
  bool wrap_probes = false;
  // Debugging containers may share its processes.
  bool allow_debug = false;
  // Of its process, if an annotation says it.
  std::optional<int64_t> uid;
};

// What a pod's label and annotations ask for. Where an annotation says nothing, the configuration does.
struct PodWishes {
  std::vector<ChosenContainer> containers;
  std::string image;
  std::string max_stale;
  AddedResources resources;
  // The pod carries kInjectedAnnotation.
  bool injected = false;
};

// Whether the pod is labelled for the rewrite. A refusal for another value than "true" or "false", so that a slip of
// the pen starts no pod without its credentials.
absl::StatusOr<bool> WantsInjection(const PodView& pod);

// Reads the annotations of a labelled pod. A refusal, naming the annotation, for one that Keyferry does not know, a
// value that it does not take, or a container that is not there.
absl::StatusOr<PodWishes> ReadAnnotations(const PodView& pod, const RewriteConfig& config);

// Whether kAllowDebugAnnotation lets debugging containers share the processes of that container.
bool AllowsDebugging(const PodView& pod, absl::string_view container);

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_REWRITE_ANNOTATIONS_H_
