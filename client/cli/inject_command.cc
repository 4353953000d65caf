#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/context.h"
#include "client/cli/inject_bindings.h"
#include "client/cli/value_input.h"
#include "client/files.h"
#include "client/manifest_file.h"
#include "client/secret_text.h"
#include "injector/webhook/rewrite/annotations.h"
#include "injector/webhook/rewrite/pod_rewrite.h"
#include "injector/webhook/rewrite/pod_templates.h"
#include "injector/webhook/rewrite/rewrite_config.h"
#include "nlohmann/json.hpp"

namespace keyferry::client::cli {
namespace {

namespace webhook = injector::webhook;
using Json = nlohmann::json;

constexpr size_t kMaxFile = 4 << 20;
constexpr size_t kMaxConfig = 64 << 10;

constexpr char kHelp[] =
    "Does to the pods of a manifest what the webhook does when they are created, and prints the result; nothing is "
    "sent\n"
    "anywhere. FILE is YAML or JSON with any objects of Kubernetes: Pods, and the templates of Deployments, "
    "ReplicaSets,\n"
    "StatefulSets, DaemonSets, Jobs and CronJobs, are rewritten if they are labelled keyferry.dev/inject: \"true\"; "
    "all else\n"
    "is printed as it is; a note names what has labelled pods of a kind that is not known. Comments are lost. A pod "
    "that\n"
    "cannot be rewritten fails the command, and nothing is printed.\n"
    "Annotations of the pod say what it gets:\n"
    "  metadata:\n"
    "    labels: {keyferry.dev/inject: \"true\"}\n"
    "    annotations: {keyferry.dev/mcp-server: github}     # or CONTAINER=ID, ...\n"
    "docs/webhook.md lists them. --config is the webhook's own configuration. An MCP server's id needs --org,\n"
    "KEYFERRY_ORG or `org` there.\n"
    "--ask-server takes the command of a container without one from the MCP server's definition. --dry-run prints no\n"
    "manifest but what each variable would be, as the server explains it to you; exit code 1 if a required one would "
    "have\n"
    "no value.";

struct Manifest {
  std::string where;
  std::vector<Json> objects;
};

Outcome ReadManifest(const Context& context, const std::string& file, Manifest* manifest) {
  const bool standard_input = file == "-";
  manifest->where = standard_input ? "standard input" : file;
  const int fd = standard_input ? context.streams().input : open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return BadData(absl::StrCat("cannot open (", strerror(errno), "): ", file, "; check the file's name"));
  SecretText text;
  Outcome outcome = ReadAll(fd, kMaxFile, manifest->where, &text);
  if (!standard_input) close(fd);
  KEYFERRY_RETURN_IF_FAILED(std::move(outcome));
  if (text.size() > kMaxFile) return BadData(absl::StrCat("longer than 4 MiB: ", manifest->where, "; split it"));
  absl::StatusOr<std::vector<Json>> objects = ParseManifestFile(std::string(text.Expose()), manifest->where);
  if (!objects.ok()) return BadData(std::string(objects.status().message()));
  if (objects->empty()) return BadData(absl::StrCat("no object: ", manifest->where, "; give a manifest"));
  manifest->objects = *std::move(objects);
  return std::nullopt;
}

Outcome ReadConfig(const Context& context, const Arguments& arguments, webhook::RewriteConfig* config) {
  if (arguments.Has("--config")) {
    const absl::StatusOr<std::string> text = ReadFile(arguments.Text("--config"), "configuration file", kMaxConfig);
    if (!text.ok()) return UsageFailure(std::string(text.status().message()));
    absl::StatusOr<webhook::RewriteConfig> read = webhook::ParseRewriteConfig(*text, arguments.Text("--config"));
    if (!read.ok()) return BadData(std::string(read.status().message()));
    *config = *std::move(read);
  }
  if (config->org.empty()) config->org = context.GivenOrg();
  return std::nullopt;
}

// "Deployment/tool".
std::string NameOf(const Json& object) {
  const Json metadata = object.value("metadata", Json::object());
  const Json name = metadata.is_object() ? metadata.value("name", metadata.value("generateName", Json())) : Json();
  const Json kind = object.value("kind", Json());
  return absl::StrCat(kind.is_string() ? kind.get<std::string>() : "object", "/",
                      name.is_string() ? name.get<std::string>() : "");
}

void Note(const Context& context, const std::string& text) {
  *context.streams().error << "keyferry: note: " << PrintableText(text) << "\n";
}

// What was made of all files.
struct Injected {
  std::vector<Json> objects;
  // Of each object, with paths from its root.
  std::vector<Json> patches;
  std::vector<webhook::ChosenContainer> containers;
  // There were labelled pods of kinds that are not known.
  bool left_alone = false;
};

// A label on the object instead of its pods does nothing.
void NoteMisplacedLabel(const Context& context, const Json& object) {
  const Json::json_pointer label("/metadata/labels/keyferry.dev~1inject");
  if (!object.contains(label) || object.value("kind", Json()) == "Pod") return;
  Note(context, absl::StrCat(NameOf(object), " is labelled ", webhook::kInjectLabel, ", but its pods are not; label ",
                             "spec.template.metadata"));
}

// Returns whether there was any.
bool NoteUnknownKinds(const Context& context, const Json& object) {
  const std::vector<std::string> unknown = webhook::UnknownLabelled(object);
  for (const std::string& pointer : unknown) {
    Note(context,
         absl::StrCat(NameOf(object.at(Json::json_pointer(pointer))), " is left alone, although its spec.template is ",
                      "labelled ", webhook::kInjectLabel, ": inject does not know its kind; the webhook rewrites its ",
                      "pods when they are created"));
  }
  return !unknown.empty();
}

Outcome RefusedPod(const std::string& where, const Json& object, const absl::Status& refusal) {
  return BadData(absl::StrCat(where, ": ", NameOf(object), ": ", PrintableText(std::string(refusal.message())),
                              "; nothing was printed"));
}

Outcome InjectObject(Context& context, const webhook::RewriteConfig& config,
                     const webhook::DefinitionSource& definitions, const std::string& where, Json object,
                     Injected* injected) {
  Json all = Json::array();
  bool labelled = false;
  for (const std::string& pointer : webhook::PodTemplates(object)) {
    Json& pod = object[Json::json_pointer(pointer)];
    absl::StatusOr<webhook::PodRewrite> rewrite = webhook::RewritePod(pod, config, definitions);
    if (!rewrite.ok()) return RefusedPod(where, object, rewrite.status());
    if (!rewrite->containers.empty()) {
      labelled = true;
      const absl::Status claims = webhook::CheckClaimTemplates(object, pointer);
      if (!claims.ok()) return RefusedPod(where, object, claims);
    }
    for (const std::string& warning : rewrite->warnings) Note(context, warning);
    if (!rewrite->patch.empty()) pod = pod.patch(rewrite->patch);
    for (Json& operation : rewrite->patch) {
      operation["path"] = pointer + operation["path"].get<std::string>();
      all.push_back(std::move(operation));
    }
    for (webhook::ChosenContainer& container : rewrite->containers)
      injected->containers.push_back(std::move(container));
  }
  const bool unknown = NoteUnknownKinds(context, object);
  injected->left_alone |= unknown;
  if (!labelled && !unknown) NoteMisplacedLabel(context, object);
  injected->objects.push_back(std::move(object));
  injected->patches.push_back(std::move(all));
  return std::nullopt;
}

void PrintObjects(const Context& context, const std::vector<Json>& objects) {
  if (context.printer().format() != OutputFormat::kJson) {
    for (size_t i = 0; i < objects.size(); ++i) {
      context.printer().Raw(absl::StrCat(i == 0 ? "" : "---\n", JsonToYaml(objects[i].dump())));
    }
    return;
  }
  const Json whole =
      objects.size() == 1 ? objects[0] : Json({{"apiVersion", "v1"}, {"kind", "List"}, {"items", Json(objects)}});
  context.printer().Raw(whole.dump(2) + "\n");
}

Outcome DryRun(Context& context, const std::vector<webhook::ChosenContainer>& containers) {
  std::vector<BindingReport> reports;
  KEYFERRY_RETURN_IF_FAILED(ReportBindings(context, containers, &reports));
  int failing = 0;
  Json list = Json::array();
  for (const BindingReport& report : reports) {
    failing += report.fails ? 1 : 0;
    list.push_back({{"container", report.container},
                    {"mcpServer", report.mcp_server},
                    {"variable", report.variable},
                    {"fails", report.fails},
                    {"summary", report.summary}});
    if (context.printer().format() != OutputFormat::kTable) continue;
    context.printer().Raw(PrintableText(absl::StrCat(report.container, " (", report.mcp_server, "): ", report.variable,
                                                     report.fails ? " would fail: " : ": ", report.summary)) +
                          "\n");
  }
  if (context.printer().format() == OutputFormat::kJson) context.printer().Raw(list.dump(2) + "\n");
  if (context.printer().format() == OutputFormat::kYaml) context.printer().Raw(JsonToYaml(list.dump()));
  if (failing == 0) return std::nullopt;
  return Failure{ExitCode::kOther,
                 absl::StrCat("variables without a value: ", failing, "; set them before the pods are created")};
}

Outcome Inject(Context& context, const Arguments& arguments) {
  webhook::RewriteConfig config;
  KEYFERRY_RETURN_IF_FAILED(ReadConfig(context, arguments, &config));
  const webhook::DefinitionSource definitions =
      arguments.Has("--ask-server") ? DefinitionsOf(context) : webhook::DefinitionSource();
  Injected injected;
  for (const std::string& file : arguments.Texts("--file")) {
    Manifest manifest;
    KEYFERRY_RETURN_IF_FAILED(ReadManifest(context, file, &manifest));
    for (Json& object : manifest.objects) {
      KEYFERRY_RETURN_IF_FAILED(
          InjectObject(context, config, definitions, manifest.where, std::move(object), &injected));
    }
  }
  if (injected.containers.empty() && !injected.left_alone) {
    Note(context, absl::StrCat("no pod is labelled ", webhook::kInjectLabel, ": \"true\""));
  }
  if (arguments.Has("--dry-run")) return DryRun(context, injected.containers);
  if (!arguments.Has("--patch")) {
    PrintObjects(context, injected.objects);
    return std::nullopt;
  }
  for (const Json& patch : injected.patches) context.printer().Raw(patch.dump() + "\n");
  return std::nullopt;
}

}  // namespace

void AddInjectCommand(CommandTree& tree) {
  Option file = {"-f,--file", ValueKind::kFile, "FILE", "Manifest (- is standard input); may be repeated"};
  file.required = true;
  file.repeated = true;
  tree.commands.push_back(
      {"inject",
       "Rewrite the pods of a manifest of Kubernetes, as the webhook does, and print it",
       kHelp,
       {},
       {file,
        {"--config", ValueKind::kFile, "FILE", "The webhook's configuration (default: as without one)"},
        {"--patch", ValueKind::kFlag, "", "Print the JSON Patch of each object, one on a line, instead of the objects"},
        {"--ask-server", ValueKind::kFlag, "", "Ask the server for the command of a container that has none"},
        {"--dry-run", ValueKind::kFlag, "", "Ask the server which variables would have a value, and print that alone"}},
       {{"--patch", "--dry-run"}},
       Inject});
}

}  // namespace keyferry::client::cli
