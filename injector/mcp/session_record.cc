#include "injector/mcp/session_record.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "injector/mcp/json_object.h"

namespace keyferry::injector::mcp {
namespace {

constexpr int kMaxCapabilityDepth = 4;

void CollectCapabilities(absl::string_view object, const std::string& prefix, int depth, std::set<std::string>& paths) {
  JsonObjectReader reader(object);
  while (reader.Next()) {
    if (reader.value() == "false" || reader.value() == "null") continue;
    const std::string path = absl::StrCat(prefix, reader.key());
    paths.insert(path);
    if (depth < kMaxCapabilityDepth && absl::StartsWith(reader.value(), "{")) {
      CollectCapabilities(reader.value(), path + ".", depth + 1, paths);
    }
  }
}

// A server names its capabilities as it likes; only names of the specification are fit for a log.
std::string LoggableCapability(const std::string& path) {
  static constexpr absl::string_view kKnown[] = {"tools",       "prompts",      "resources",   "logging",
                                                 "completions", "experimental", "listChanged", "subscribe"};
  for (const absl::string_view part : absl::StrSplit(path, '.')) {
    if (std::find(std::begin(kKnown), std::end(kKnown), part) == std::end(kKnown)) return "other";
  }
  return path;
}

std::vector<std::string> Missing(const std::set<std::string>& from, const std::set<std::string>& in) {
  std::set<std::string> names;
  for (const std::string& path : from) {
    if (in.count(path) == 0) names.insert(LoggableCapability(path));
  }
  return {names.begin(), names.end()};
}

std::string WithoutMeta(absl::string_view params) {
  std::string kept;
  JsonObjectReader reader(params);
  while (reader.Next()) {
    if (reader.key() == "_meta") continue;
    absl::StrAppend(&kept, kept.empty() ? "" : ",", QuoteJsonString(reader.key()), ":", reader.value());
  }
  return absl::StrCat("{", kept, "}");
}

bool FindString(absl::string_view object, absl::string_view name, std::string& text) {
  absl::string_view token;
  return FindJsonMember(object, name, token) == JsonMember::kFound && DecodeJsonString(token, text);
}

}  // namespace

bool InitializeResult::Parse(absl::string_view result, InitializeResult& parsed) {
  parsed = InitializeResult();
  absl::string_view capabilities;
  if (!FindString(result, "protocolVersion", parsed.protocol_version) ||
      FindJsonMember(result, "capabilities", capabilities) != JsonMember::kFound ||
      !absl::StartsWith(capabilities, "{")) {
    return false;
  }
  CollectCapabilities(capabilities, "", 1, parsed.capabilities);
  absl::string_view info;
  if (FindJsonMember(result, "serverInfo", info) == JsonMember::kFound) FindString(info, "name", parsed.server_name);
  return true;
}

InitializeDifference Compare(const InitializeResult& told, const InitializeResult& now) {
  InitializeDifference difference;
  difference.protocol_version = told.protocol_version != now.protocol_version;
  difference.server_name = told.server_name != now.server_name;
  difference.lost = Missing(told.capabilities, now.capabilities);
  difference.gained = Missing(now.capabilities, told.capabilities);
  return difference;
}

uint64_t SessionRecord::OnRequest(ProcessId process, absl::string_view text, absl::string_view method,
                                  absl::string_view params) {
  absl::string_view token;
  if (method == "initialize") {
    if (handshake_ != Handshake::kAsked) before_ = handshake_;
    handshake_ = Handshake::kAsked;
    initialized_early_ = false;
    asked_ = process;
    initialize_number_ = next_++;
    initialize_text_ = std::string(text);
    asked_params_ = WithoutMeta(params);
    level_ = pending_level_ = Level();
    subscriptions_.clear();
    return initialize_number_;
  }
  if (method == "logging/setLevel") {
    if (FindJsonMember(params, "level", token) != JsonMember::kFound) return 0;
    pending_level_ = {next_++, std::string(token)};
    return pending_level_.number;
  }
  const bool subscribe = method == "resources/subscribe";
  std::string uri;
  if ((!subscribe && method != "resources/unsubscribe") || !FindString(params, "uri", uri) ||
      FindJsonMember(params, "uri", token) != JsonMember::kFound) {
    return 0;
  }
  Subscription& subscription = subscriptions_[uri];
  subscription = {next_++, subscribe, subscription.subscribed, std::string(token)};
  return subscription.number;
}

void SessionRecord::OnAnswer(uint64_t number, absl::string_view result) {
  if (number == 0) return;
  const bool succeeded = !result.empty();
  if (number == initialize_number_) {
    initialize_number_ = 0;
    asked_ = 0;
    initialize_text_.clear();
    InitializeResult told;
    const bool initialized = succeeded && InitializeResult::Parse(result, told);
    handshake_ = initialized ? Handshake::kAnswered : before_;
    if (!initialized) return;
    if (initialized_early_) handshake_ = Handshake::kDone;
    initialize_params_ = std::move(asked_params_);
    told_ = std::move(told);
    return;
  }
  if (number == pending_level_.number) {
    if (succeeded) level_ = pending_level_;
    pending_level_ = Level();
    return;
  }
  for (auto entry = subscriptions_.begin(); entry != subscriptions_.end(); ++entry) {
    Subscription& subscription = entry->second;
    if (subscription.number != number) continue;
    if (!succeeded) subscription.subscribed = subscription.was_subscribed;
    subscription.was_subscribed = subscription.subscribed;
    if (!subscription.subscribed) subscriptions_.erase(entry);
    return;
  }
}

void SessionRecord::OnInitialized() {
  if (handshake_ == Handshake::kAnswered) handshake_ = Handshake::kDone;
  if (handshake_ == Handshake::kAsked) initialized_early_ = true;
}

std::vector<SessionRecord::Request> SessionRecord::Replays() const {
  std::map<uint64_t, Request> ordered;
  const Level& level = pending_level_.number != 0 ? pending_level_ : level_;
  if (level.number != 0) ordered[level.number] = {"logging/setLevel", absl::StrCat(R"({"level":)", level.token, "}")};
  for (const auto& [uri, subscription] : subscriptions_) {
    if (!subscription.subscribed) continue;
    ordered[subscription.number] = {"resources/subscribe", absl::StrCat(R"({"uri":)", subscription.uri, "}")};
  }
  std::vector<Request> replays;
  for (auto& [number, request] : ordered) replays.push_back(std::move(request));
  return replays;
}

}  // namespace keyferry::injector::mcp
