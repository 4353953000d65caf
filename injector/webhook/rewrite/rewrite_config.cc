#include "injector/webhook/rewrite/rewrite_config.h"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <set>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "injector/webhook/rewrite/resource_fit.h"
#include "injector/webhook/rewrite/setting_forms.h"
#include "yaml-cpp/yaml.h"

namespace keyferry::injector::webhook {
namespace {

constexpr size_t kMaxFile = 64 << 10;

class Reader {
 public:
  Reader(absl::string_view file_name, RewriteConfig* config) : file_name_(file_name), config_(config) {}

  absl::Status Read(const YAML::Node& node) {
    RewriteConfig* const c = config_;
    return Map(
        node, "",
        {{"address", Text(&c->address, IsAddress, "give HOST:PORT")},
         {"org", Text(&c->org, IsId, "give the organization's id")},
         {"image", Text(&c->image, IsImage, kImageForm)},
         {"allowedImages", [this](const YAML::Node& value) { return AllowedImages(value); }},
         {"imagePullPolicy", Text(&c->image_pull_policy, IsPullPolicy, "give Always, IfNotPresent or Never")},
         {"caConfigMap", Text(&c->ca_config_map, IsConfigMapOrNone, "give a ConfigMap's name, or \"\" for none")},
         {"caKey", Text(&c->ca_key, IsFileName, "give a key of that ConfigMap")},
         {"audience", Text(&c->audience, IsAudience, "give the audience that keyferryd expects")},
         {"tokenExpiration", [this](const YAML::Node& value) { return TokenExpiration(value); }},
         {"uid", [this](const YAML::Node& value) { return Uid(value); }},
         {"maxStale", Text(&c->max_stale, IsMaxStale, "give a duration from 0s to 720h, such as 24h")},
         {"resources", [this](const YAML::Node& value) { return Resources(value); }}});
  }

  absl::Status At(const YAML::Mark& mark, absl::string_view problem) const {
    return absl::InvalidArgumentError(
        absl::StrCat(file_name_, ":", mark.line + 1, ":", mark.column + 1, ": ", problem));
  }

 private:
  using Setting = std::function<absl::Status(const YAML::Node&)>;
  using Form = bool (*)(absl::string_view);

  static bool IsPullPolicy(absl::string_view text) {
    return text == "Always" || text == "IfNotPresent" || text == "Never";
  }
  static bool IsConfigMapOrNone(absl::string_view text) { return text.empty() || IsKubernetesName(text, 253); }
  static bool IsAudience(absl::string_view text) { return IsImage(text); }
  static bool IsMaxStale(absl::string_view text) { return IsDuration(text, absl::ZeroDuration(), absl::Hours(720)); }

  absl::Status Map(const YAML::Node& node, const std::string& prefix, const std::map<std::string, Setting>& settings) {
    if (!node.IsMap()) return At(node.Mark(), "settings are a map, `name: value`; correct it");
    std::set<std::string> seen;
    for (const auto& entry : node) {
      const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "";
      const auto setting = settings.find(key);
      if (setting == settings.end()) {
        std::string known;
        for (const auto& [name, unused] : settings) absl::StrAppend(&known, known.empty() ? "" : ", ", name);
        return At(entry.first.Mark(), absl::StrCat("no such setting; use one of ", known));
      }
      if (!seen.insert(key).second) {
        return At(entry.first.Mark(), absl::StrCat("`", prefix, key, "` is given twice; remove one"));
      }
      if (absl::Status status = setting->second(entry.second); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

  // `text` is a std::string, or an optional one.
  template <typename T>
  Setting Text(T* text, Form form, const char* meant) {
    return [this, text, form, meant](const YAML::Node& node) {
      if (!node.IsScalar() || !form(node.Scalar())) return At(node.Mark(), absl::StrCat("a wrong value; ", meant));
      *text = node.Scalar();
      return absl::OkStatus();
    };
  }

  absl::Status AllowedImages(const YAML::Node& node) {
    if (!node.IsSequence()) return At(node.Mark(), "a wrong value; give a list of images");
    for (const YAML::Node& image : node) {
      if (!image.IsScalar() || !IsImage(image.Scalar()))
        return At(image.Mark(), absl::StrCat("a wrong value; ", kImageForm));
      config_->allowed_images.push_back(image.Scalar());
    }
    return absl::OkStatus();
  }

  absl::Status TokenExpiration(const YAML::Node& node) {
    absl::Duration duration;
    if (!node.IsScalar() || !IsDuration(node.Scalar(), absl::Minutes(10), absl::Hours(24)) ||
        !absl::ParseDuration(node.Scalar(), &duration)) {
      return At(node.Mark(), "a wrong value; give a duration from 10m, as Kubernetes wants it, to 24h");
    }
    config_->token_seconds = absl::ToInt64Seconds(duration);
    return absl::OkStatus();
  }

  absl::Status Uid(const YAML::Node& node) {
    int64_t uid = 0;
    const std::string text = node.IsScalar() ? node.Scalar() : "";
    if (text != "auto" && !ParseUid(text, &uid)) {
      return At(node.Mark(), absl::StrCat("a wrong value; ", kUidForm, ", or auto"));
    }
    config_->uid = text == "auto" ? std::nullopt : std::optional<int64_t>(uid);
    return absl::OkStatus();
  }

  absl::Status Resources(const YAML::Node& node) {
    AddedResources* const r = &config_->resources;
    const Form cpu = [](absl::string_view text) { return text.empty() || IsCpuQuantity(text); };
    const Form memory = [](absl::string_view text) { return text.empty() || IsMemoryQuantity(text); };
    std::optional<std::string> cpu_request, cpu_limit, memory_request, memory_limit;
    const absl::Status read = Map(node, "resources.",
                                  {{"cpuRequest", Text(&cpu_request, cpu, kCpuForm)},
                                   {"cpuLimit", Text(&cpu_limit, cpu, kCpuForm)},
                                   {"memoryRequest", Text(&memory_request, memory, kMemoryForm)},
                                   {"memoryLimit", Text(&memory_limit, memory, kMemoryForm)}});
    if (!read.ok()) return read;
    if (!SetRequestAndLimit(cpu_request, cpu_limit, &r->cpu_request, &r->cpu_limit)) {
      return Above(node, "cpuRequest and cpuLimit", *cpu_request, *cpu_limit);
    }
    if (!SetRequestAndLimit(memory_request, memory_limit, &r->memory_request, &r->memory_limit)) {
      return Above(node, "memoryRequest and memoryLimit", *memory_request, *memory_limit);
    }
    return absl::OkStatus();
  }

  absl::Status Above(const YAML::Node& node, absl::string_view names, absl::string_view request,
                     absl::string_view limit) const {
    return At(node.Mark(), absl::StrCat(names, ": ", AboveProblem(request, limit), "; ", kAboveTodo));
  }

  const absl::string_view file_name_;
  RewriteConfig* const config_;
};

}  // namespace

bool IsAllowedImage(const RewriteConfig& config, absl::string_view image) {
  return image == config.image ||
         std::find(config.allowed_images.begin(), config.allowed_images.end(), image) != config.allowed_images.end();
}

absl::StatusOr<RewriteConfig> ParseRewriteConfig(const std::string& text, absl::string_view file_name) {
  RewriteConfig config;
  Reader reader(file_name, &config);
  if (text.size() > kMaxFile) return reader.At(YAML::Mark(), "longer than 64 KiB; this is no configuration");
  try {
    const YAML::Node node = YAML::Load(text);
    if (node.IsNull()) return config;
    if (absl::Status status = reader.Read(node); !status.ok()) return status;
  } catch (const YAML::Exception& error) {
    return reader.At(error.mark, "this is not YAML; correct it");
  }
  return config;
}

}  // namespace keyferry::injector::webhook
