#include "injector/webhook/rewrite/annotations.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "injector/webhook/rewrite/launch_settings.h"
#include "injector/webhook/rewrite/nearest_name.h"
#include "injector/webhook/rewrite/refusal.h"
#include "injector/webhook/rewrite/resource_fit.h"
#include "injector/webhook/rewrite/setting_forms.h"

namespace keyferry::injector::webhook {
namespace {

constexpr char kMcpServer[] = "mcp-server";

// Of an annotation that says something for each container: 64 of them, with the longest names and values.
constexpr size_t kMostBytes = size_t{64} << 10;

std::string Where(absl::string_view name) { return absl::StrCat("annotation ", kAnnotationPrefix, name); }

absl::Status WrongValue(absl::string_view name, absl::string_view meant) {
  return Refuse("a value that is not taken", Where(name), meant);
}

bool IsWrapped(const ContainerView& container) {
  const auto command = MemberTexts(*container.json, "command");
  return command.has_value() && !command->empty() && command->front() == kLaunchPath;
}

bool TakeSession(const std::string& value, ChosenContainer* container) {
  const std::pair<std::string, std::string> parts = absl::StrSplit(value, absl::MaxSplits('/', 1));
  container->session_volume = parts.first;
  container->session_file = parts.second;
  return IsKubernetesName(parts.first, 63) && IsFileName(parts.second);
}

class Reader {
 public:
  Reader(const PodView& pod, const RewriteConfig& config) : pod_(pod) {
    wishes_.image = config.image;
    wishes_.max_stale = config.max_stale;
    wishes_.resources = config.resources;
  }

  absl::StatusOr<PodWishes> Read() {
    std::map<std::string, std::string> annotations;
    for (auto& [key, value] : pod_.Annotations()) {
      absl::string_view name = key;
      if (absl::ConsumePrefix(&name, kAnnotationPrefix)) annotations[std::string(name)] = value;
    }
    const std::map<std::string, Setting> settings = Settings();
    for (const auto& [name, value] : annotations) {
      if (settings.count(name) == 0) return Unknown(name, settings);
    }
    // The containers first, since other annotations name them.
    KEYFERRY_RETURN_IF_REFUSED(McpServers(annotations));
    for (const auto& [name, value] : annotations) KEYFERRY_RETURN_IF_REFUSED(settings.at(name)(name, value));
    AddedResources& resources = wishes_.resources;
    KEYFERRY_RETURN_IF_REFUSED(SetResource(annotations, "cpu", &resources.cpu_request, &resources.cpu_limit));
    KEYFERRY_RETURN_IF_REFUSED(SetResource(annotations, "memory", &resources.memory_request, &resources.memory_limit));
    KEYFERRY_RETURN_IF_REFUSED(CheckTogether());
    return std::move(wishes_);
  }

 private:
  using Setting = std::function<absl::Status(const std::string& name, const std::string& value)>;
  using Form = bool (*)(absl::string_view);
  using Take = std::function<bool(const std::string& value, ChosenContainer* container)>;

  std::map<std::string, Setting> Settings() {
    const Form cpu = IsCpuQuantity, memory = IsMemoryQuantity;
    const auto nothing = [](const std::string&, const std::string&) { return absl::OkStatus(); };
    std::map<std::string, Setting> settings = {
        {kMcpServer, nothing},
        {"injected", [this](const std::string& name, const std::string& value) { return Injected(name, value); }},
        {"team", Each("give a team's id",
                      [](const std::string& value, ChosenContainer* c) {
                        c->team = value;
                        return IsId(value);
                      })},
        {"session",
         Each("give VOLUME/FILE: a volume of the pod and the file in it that holds the session's token", TakeSession)},
        {"allow-partial", Flag([](bool on, ChosenContainer* c) { c->allow_partial = on; })},
        {"image", Text(&wishes_.image, IsImage, kImageForm)},
        {"max-stale",
         Text(
             &wishes_.max_stale,
             [](absl::string_view text) { return IsDuration(text, absl::ZeroDuration(), absl::Hours(720)); },
             "give a duration from 0s to 720h, such as 24h")},
        {"cpu-request", Checked(cpu, kCpuForm)},
        {"cpu-limit", Checked(cpu, kCpuForm)},
        {"memory-request", Checked(memory, kMemoryForm)},
        {"memory-limit", Checked(memory, kMemoryForm)},
        {"allow-debug", Flag([](bool on, ChosenContainer* c) { c->allow_debug = on; })},
        {"wrap-probes", Flag([](bool on, ChosenContainer* c) { c->wrap_probes = on; })},
        {"uid", Each(kUidForm,
                     [](const std::string& value, ChosenContainer* c) {
                       int64_t uid = 0;
                       const bool right = ParseUid(value, &uid);
                       c->uid = uid;
                       return right;
                     })},
    };
    for (const LaunchSetting& setting : LaunchSettings()) {
      settings[setting.name] =
          Each(setting.meant, [take = setting.take](const std::string& value, ChosenContainer* container) {
            return take(value, &container->launch);
          });
    }
    return settings;
  }

  absl::Status Unknown(const std::string& name, const std::map<std::string, Setting>& settings) const {
    std::vector<std::string> names;
    for (const auto& [known, setting] : settings) names.push_back(known);
    const std::string nearest = NearestName(name, names);
    return Refuse("an annotation that Keyferry does not know", Where(name),
                  nearest.empty() ? absl::StrCat("remove it; there are ", absl::StrJoin(names, ", "))
                                  : absl::StrCat("is ", kAnnotationPrefix, nearest, " meant? Else remove it"));
  }

  // "NAME=VALUE, ..." or one value for all; `for_all` is what the latter stands for.
  absl::Status Divide(const std::string& name, const std::string& value, const std::vector<std::string>& for_all,
                      std::vector<std::pair<std::string, std::string>>* divided) const {
    // It is copied for each container.
    if (value.size() > kMostBytes) {
      return Refuse(absl::StrCat("a value of more than ", kMostBytes, " bytes"), Where(name), "give a shorter one");
    }
    std::set<std::string> seen;
    const std::vector<absl::string_view> parts = absl::StrSplit(value, ',');
    for (absl::string_view part : parts) {
      part = absl::StripAsciiWhitespace(part);
      const size_t equals = part.find('=');
      if (equals == absl::string_view::npos) {
        if (parts.size() != 1 || part.empty()) {
          return WrongValue(name,
                            "give one value for all containers, or CONTAINER=VALUE for each, with commas between");
        }
        for (const std::string& container : for_all) divided->emplace_back(container, part);
        return absl::OkStatus();
      }
      const std::string container(absl::StripAsciiWhitespace(part.substr(0, equals)));
      if (!seen.insert(container).second) {
        return Refuse(absl::StrCat("container \"", container, "\" is named twice"), Where(name), "name it once");
      }
      divided->emplace_back(container, absl::StripAsciiWhitespace(part.substr(equals + 1)));
    }
    return absl::OkStatus();
  }

  absl::Status McpServers(const std::map<std::string, std::string>& annotations) {
    // Others may have added containers since the pod was rewritten.
    const bool injected = annotations.count("injected") != 0;
    std::vector<std::string> all, regular;
    for (const ContainerView& container : pod_.containers()) {
      if (container.kind == ContainerKind::kEphemeral) continue;
      all.push_back(container.name);
      if (container.kind != ContainerKind::kRegular || (injected && !IsWrapped(container))) continue;
      regular.push_back(container.name);
    }
    if (all.empty()) return Refuse("the pod has no containers", "spec.containers", "give it one");
    const auto found = annotations.find(kMcpServer);
    if (found == annotations.end()) {
      return Refuse("the pod does not say which MCP server's credentials it gets", Where(kMcpServer),
                    "set it to an MCP server's id, or to CONTAINER=ID for each container");
    }
    if (!absl::StrContains(found->second, '=') && regular.size() != 1) {
      return Refuse("it is not clear which container is meant", Where(kMcpServer),
                    absl::StrCat("say which, CONTAINER=ID; there are ", absl::StrJoin(all, ", ")));
    }
    std::vector<std::pair<std::string, std::string>> divided;
    KEYFERRY_RETURN_IF_REFUSED(Divide(kMcpServer, found->second, regular, &divided));
    if (divided.size() > kMostAgentContainers) {
      return Refuse(absl::StrCat("more than ", kMostAgentContainers, " containers"), Where(kMcpServer), "name fewer");
    }
    for (const auto& [container, server] : divided) {
      if (pod_.Find(container) == nullptr) {
        return Refuse(absl::StrCat("no container \"", container, "\""), Where(kMcpServer),
                      absl::StrCat("there are ", absl::StrJoin(all, ", ")));
      }
      if (!IsKubernetesName(container, 63)) {
        return Refuse("a container's name that Kubernetes does not take", Where(kMcpServer), "rename the container");
      }
      if (!IsMcpServer(server)) {
        return WrongValue(kMcpServer, "give an MCP server's id, or its name (orgs/ORG/mcpServers/ID)");
      }
      ChosenContainer chosen;
      chosen.name = container;
      chosen.mcp_server = server;
      wishes_.containers.push_back(std::move(chosen));
    }
    return absl::OkStatus();
  }

  Setting Text(std::string* text, Form form, const char* meant) {
    return [text, form, meant](const std::string& name, const std::string& value) {
      if (!form(value)) return WrongValue(name, meant);
      *text = value;
      return absl::OkStatus();
    };
  }

  Setting Checked(Form form, const char* meant) {
    return [form, meant](const std::string& name, const std::string& value) {
      return form(value) ? absl::OkStatus() : WrongValue(name, meant);
    };
  }

  Setting Each(const char* meant, Take take) {
    return [this, meant, take](const std::string& name, const std::string& value) {
      std::vector<std::string> chosen;
      for (const ChosenContainer& container : wishes_.containers) chosen.push_back(container.name);
      std::vector<std::pair<std::string, std::string>> divided;
      KEYFERRY_RETURN_IF_REFUSED(Divide(name, value, chosen, &divided));
      for (const auto& [container, one] : divided) {
        const auto found = std::find(chosen.begin(), chosen.end(), container);
        if (found == chosen.end()) {
          return Refuse(
              absl::StrCat("container \"", container, "\" is not among those of ", kAnnotationPrefix, kMcpServer),
              Where(name), absl::StrCat("there are ", absl::StrJoin(chosen, ", ")));
        }
        if (!take(one, &wishes_.containers[static_cast<size_t>(found - chosen.begin())]))
          return WrongValue(name, meant);
      }
      return absl::OkStatus();
    };
  }

  Setting Flag(void (*set)(bool on, ChosenContainer* container)) {
    return Each("give true or false", [set](const std::string& value, ChosenContainer* container) {
      set(value == "true", container);
      return value == "true" || value == "false";
    });
  }

  absl::Status Injected(const std::string& name, const std::string& value) {
    if (value != kInjectedValue) {
      return Refuse("the pod was rewritten by another version", Where(name),
                    "remove what it added, or start from the manifest before it");
    }
    wishes_.injected = true;
    return absl::OkStatus();
  }

  static absl::Status SetResource(const std::map<std::string, std::string>& annotations, const std::string& resource,
                                  std::string* request, std::string* limit) {
    const auto given = [&](const char* which) -> std::optional<std::string> {
      const auto found = annotations.find(resource + which);
      return found == annotations.end() ? std::nullopt : std::optional<std::string>(found->second);
    };
    const std::optional<std::string> given_request = given("-request"), given_limit = given("-limit");
    if (SetRequestAndLimit(given_request, given_limit, request, limit)) return absl::OkStatus();
    return Refuse(AboveProblem(*given_request, *given_limit),
                  absl::StrCat(Where(resource + "-request"), " and ", kAnnotationPrefix, resource, "-limit"),
                  kAboveTodo);
  }

  absl::Status CheckTogether() const {
    for (const ChosenContainer& container : wishes_.containers) {
      if (container.launch.supervise || !NeedsSupervision(container.launch)) continue;
      return Refuse(absl::StrCat("container \"", container.name, "\" is not supervised"), Where("supervise"),
                    absl::StrCat("remove ", kSupervisionSettings, " for it, or supervise it"));
    }
    return absl::OkStatus();
  }

  const PodView& pod_;
  PodWishes wishes_;
};

}  // namespace

absl::StatusOr<bool> WantsInjection(const PodView& pod) {
  for (const auto& [name, value] : pod.Labels()) {
    if (name != kInjectLabel) continue;
    if (absl::StripAsciiWhitespace(value) == "true") return true;
    if (value == "false") return false;
    return Refuse("neither \"true\" nor \"false\"", absl::StrCat("label ", kInjectLabel), "set it to one of them");
  }
  return false;
}

absl::StatusOr<PodWishes> ReadAnnotations(const PodView& pod, const RewriteConfig& config) {
  absl::StatusOr<PodWishes> wishes = Reader(pod, config).Read();
  if (!wishes.ok()) return wishes;
  if (!IsAllowedImage(config, wishes->image)) {
    return Refuse("an image that the webhook does not allow", Where("image"),
                  "leave it out, or add the image to `allowedImages` in the configuration");
  }
  if (!config.org.empty()) return wishes;
  for (const ChosenContainer& container : wishes->containers) {
    if (absl::StartsWith(container.mcp_server, "orgs/")) continue;
    return Refuse("an MCP server's id needs an organization", Where(kMcpServer),
                  "give its name (orgs/ORG/mcpServers/ID), or set `org` in the configuration");
  }
  return wishes;
}

bool AllowsDebugging(const PodView& pod, absl::string_view container) {
  for (const auto& [name, value] : pod.Annotations()) {
    if (name != kAllowDebugAnnotation) continue;
    if (absl::StripAsciiWhitespace(value) == "true") return true;
    for (const absl::string_view part : absl::StrSplit(value, ',')) {
      const std::pair<absl::string_view, absl::string_view> one = absl::StrSplit(part, absl::MaxSplits('=', 1));
      if (absl::StripAsciiWhitespace(one.first) == container && absl::StripAsciiWhitespace(one.second) == "true") {
        return true;
      }
    }
  }
  return false;
}

}  // namespace keyferry::injector::webhook
