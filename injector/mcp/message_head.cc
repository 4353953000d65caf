#include "injector/mcp/message_head.h"

#include "absl/strings/str_cat.h"
#include "injector/mcp/json_object.h"
#include "injector/mcp/json_scanner.h"

namespace keyferry::injector::mcp {
namespace {

constexpr absl::string_view kMemberNames[] = {"jsonrpc", "id", "method", "params", "result", "error"};

// The values of the members above; data() is null for one that is absent.
struct Members {
  absl::string_view jsonrpc, id, method, params, result, error;

  absl::string_view* Named(absl::string_view name) {
    absl::string_view* const values[] = {&jsonrpc, &id, &method, &params, &result, &error};
    for (size_t i = 0; i < 6; ++i) {
      if (kMemberNames[i] == name) return values[i];
    }
    return nullptr;
  }
};

bool IsVariantOfAnyName(const std::string& key) {
  for (const absl::string_view name : kMemberNames) {
    if (IsVariantOfKey(key, name)) return true;
  }
  return false;
}

bool ReadMembers(absl::string_view text, Members& members) {
  JsonObjectReader reader(text);
  while (reader.Next()) {
    absl::string_view* const value = members.Named(reader.key());
    if (value == nullptr) {
      if (IsVariantOfAnyName(reader.key())) return false;
    } else {
      if (value->data() != nullptr) return false;
      *value = reader.value();
    }
  }
  return reader.ok();
}

bool Has(absl::string_view member) { return member.data() != nullptr; }

bool ParseCall(const Members& members, MessageHead& head) {
  if (Has(members.result) || Has(members.error) || members.method.size() > kMaxIdBytes ||
      !DecodeJsonString(members.method, head.method)) {
    return false;
  }
  if (Has(members.params) && members.params.front() != '{' && members.params.front() != '[' &&
      members.params != "null") {
    return false;
  }
  head.params = members.params;
  head.kind = Has(members.id) ? MessageHead::Kind::kRequest : MessageHead::Kind::kNotification;
  return !Has(members.id) || IdKey(members.id, head.id_key);
}

bool ParseAnswer(const Members& members, MessageHead& head) {
  if (!Has(members.id) || Has(members.params) || Has(members.result) == Has(members.error)) return false;
  head.kind = Has(members.result) ? MessageHead::Kind::kResult : MessageHead::Kind::kError;
  head.result = members.result;
  if (head.kind == MessageHead::Kind::kError && members.id == "null") return true;
  return IdKey(members.id, head.id_key);
}

}  // namespace

bool ParseMessageHead(absl::string_view text, MessageHead& head) {
  head = MessageHead();
  const char* const end = text.data() + text.size();
  const char* const begin = SkipJsonBlanks(text.data(), end);
  absl::string_view object(begin, end - begin);
  while (!object.empty() && (object.back() == ' ' || object.back() == '\t')) object.remove_suffix(1);

  Members members;
  std::string version;
  if (!ReadMembers(object, members) || !DecodeJsonString(members.jsonrpc, version) || version != "2.0") return false;
  head.id = members.id;
  return Has(members.method) ? ParseCall(members, head) : ParseAnswer(members, head);
}

bool IdKey(absl::string_view token, std::string& key) {
  key.clear();
  if (token.empty() || token.size() > kMaxIdBytes) return false;
  std::string value;
  if (token.front() == '"') {
    if (!DecodeJsonString(token, value)) return false;
    key = absl::StrCat("s", value);
    return true;
  }
  if (!CanonicalJsonNumber(token, value)) return false;
  key = absl::StrCat("n", value);
  return true;
}

bool IsBatch(absl::string_view text) {
  const char* const end = text.data() + text.size();
  const char* const begin = SkipJsonBlanks(text.data(), end);
  return begin != end && *begin == '[';
}

bool SplitBatch(absl::string_view text, std::vector<absl::string_view>& elements) {
  elements.clear();
  const char* const end = text.data() + text.size();
  const char* p = SkipJsonBlanks(text.data(), end);
  if (p == end || *p != '[') return false;
  do {
    p = SkipJsonBlanks(p + 1, end);
    const char* const element_end = p == end ? nullptr : SkipJsonValue(p, end);
    if (element_end == nullptr) return false;
    elements.emplace_back(p, element_end - p);
    p = SkipJsonBlanks(element_end, end);
    if (p == end) return false;
  } while (*p == ',');
  return *p == ']' && SkipJsonBlanks(p + 1, end) == end;
}

}  // namespace keyferry::injector::mcp
