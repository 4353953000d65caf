#include "server/credentials/credential_query.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "openssl/sha.h"
#include "server/credentials/conversion.h"
#include "server/credentials/record_fields.h"
#include "server/errors.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

constexpr size_t kMaxPatternBytes = 128;
constexpr size_t kMaxOrderBytes = 256;

absl::Status CheckPattern(absl::string_view pattern, absl::string_view field) {
  constexpr char kForm[] = "Use letters, digits and `_` as in names, `*` for any characters and `?` for one.";
  if (pattern.size() > kMaxPatternBytes) return InvalidField(field, "longer than 128 bytes", kForm);
  const bool shape = std::all_of(pattern.begin(), pattern.end(),
                                 [](char c) { return absl::ascii_isalnum(c) || c == '_' || c == '*' || c == '?'; });
  return shape ? absl::OkStatus() : InvalidField(field, "matches no name", kForm);
}

absl::Status InvalidOrder(absl::string_view problem) {
  return InvalidField("order_by", problem,
                      "Use `name`, `create_time`, `update_time`, `last_use_time` or `rotate_by`, each once and with "
                      "` desc` after it if you like, separated by commas.");
}

absl::Status CheckSource(v1::CredentialSource source, absl::string_view field) {
  if (v1::CredentialSource_IsValid(source)) return absl::OkStatus();
  return InvalidField(field, "not a source",
                      "Use CREDENTIAL_SOURCE_MANUAL or CREDENTIAL_SOURCE_OAUTH, or leave it out.");
}

std::string Digest(const std::string& filter, const std::string& order_by) {
  // The length keeps the two apart.
  const std::string text = absl::StrCat(filter.size(), ":", filter, order_by);
  uint8_t digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const uint8_t*>(text.data()), text.size(), digest);
  return absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(digest), sizeof(digest)));
}

// Of a record's time, 0 for none.
int64_t TimeKey(int64_t nanos) { return nanos == 0 ? ListPosition::kNoTime : nanos; }

}  // namespace

bool MatchesPattern(absl::string_view pattern, absl::string_view text) {
  // Going back to the last star alone is enough: what an earlier one could still take, the last one can too.
  size_t at = 0;
  size_t star = absl::string_view::npos;
  size_t star_text = 0;
  for (size_t i = 0; i < text.size();) {
    if (at < pattern.size() && (pattern[at] == '?' || pattern[at] == text[i]) && pattern[at] != '*') {
      ++at;
      ++i;
    } else if (at < pattern.size() && pattern[at] == '*') {
      star = at++;
      star_text = i;
    } else if (star != absl::string_view::npos) {
      at = star + 1;
      i = ++star_text;
    } else {
      return false;
    }
  }
  return pattern.substr(at).find_first_not_of('*') == absl::string_view::npos;
}

absl::StatusOr<CredentialQuery> CredentialQuery::From(const v1::ListCredentialsRequest& request) {
  CredentialQuery query;
  RETURN_IF_ERROR(query.SetFilter(request.filter()));
  RETURN_IF_ERROR(query.SetOrder(request.order_by()));
  query.page_scope_ =
      absl::StrCat(request.parent(), " ", Digest(request.filter().SerializeAsString(), request.order_by()));
  return query;
}

absl::StatusOr<CredentialQuery> CredentialQuery::From(const v1::ListMyCredentialsRequest& request) {
  RETURN_IF_ERROR(CheckPattern(request.id_pattern(), "id_pattern"));
  RETURN_IF_ERROR(CheckSource(request.source(), "source"));
  CredentialQuery query;
  query.filter_.set_id_pattern(request.id_pattern());
  query.filter_.set_source(request.source());
  if (request.statuses_size() > v1::MyCredentialStatus_ARRAYSIZE) {
    return InvalidField("statuses", "more than there are", "Name each status once.");
  }
  for (int i = 0; i < request.statuses_size(); ++i) {
    const v1::MyCredentialStatus status = request.statuses(i);
    if (status == v1::MY_CREDENTIAL_STATUS_UNSPECIFIED || !v1::MyCredentialStatus_IsValid(status)) {
      return InvalidField(
          absl::StrCat("statuses[", i, "]"), "not a status",
          "Use MY_CREDENTIAL_STATUS_SET_BY_ME, _SET_BY_TEAM, _SET_BY_ORG, _NOT_SET or _CONNECT_NEEDED.");
    }
    query.my_statuses_.push_back(status);
  }
  RETURN_IF_ERROR(query.SetOrder(request.order_by()));
  const std::string filter =
      absl::StrCat(query.filter_.SerializeAsString(), ":", absl::StrJoin(query.my_statuses_, ","));
  query.page_scope_ = absl::StrCat(request.parent(), " ", Digest(filter, request.order_by()));
  return query;
}

absl::Status CredentialQuery::SetFilter(const v1::CredentialFilter& filter) {
  for (int i = 0; i < filter.scopes_size(); ++i) {
    if (filter.scopes(i) == v1::CREDENTIAL_SCOPE_UNSPECIFIED || !v1::CredentialScope_IsValid(filter.scopes(i))) {
      return InvalidField(absl::StrCat("filter.scopes[", i, "]"), "not a scope",
                          "Use CREDENTIAL_SCOPE_ORG, CREDENTIAL_SCOPE_TEAM or CREDENTIAL_SCOPE_USER.");
    }
  }
  RETURN_IF_ERROR(CheckPattern(filter.id_pattern(), "filter.id_pattern"));
  if (!v1::CredentialStatus_IsValid(filter.status())) {
    return InvalidField("filter.status", "not a status",
                        "Use CREDENTIAL_STATUS_ACTIVE or CREDENTIAL_STATUS_SUSPENDED, or leave it out.");
  }
  RETURN_IF_ERROR(CheckSource(filter.source(), "filter.source"));
  if (filter.has_unused_since()) {
    ASSIGN_OR_RETURN(unused_since_, NanosFrom(filter.unused_since(), "filter.unused_since"));
    needs_use_ = true;
  }
  filter_ = filter;
  return absl::OkStatus();
}

absl::Status CredentialQuery::SetOrder(absl::string_view order_by) {
  static constexpr std::pair<absl::string_view, Field> kFields[] = {{"name", Field::kName},
                                                                    {"create_time", Field::kCreateTime},
                                                                    {"update_time", Field::kUpdateTime},
                                                                    {"last_use_time", Field::kLastUseTime},
                                                                    {"rotate_by", Field::kRotateBy}};
  if (absl::StripAsciiWhitespace(order_by).empty()) return absl::OkStatus();
  if (order_by.size() > kMaxOrderBytes) return InvalidOrder("longer than 256 bytes");
  for (const absl::string_view part : absl::StrSplit(order_by, ',')) {
    const std::vector<absl::string_view> words = absl::StrSplit(part, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    if (words.empty() || words.size() > 2 || (words.size() == 2 && words[1] != "desc")) {
      return InvalidOrder("not a list of fields");
    }
    const auto* known = std::find_if(std::begin(kFields), std::end(kFields),
                                     [&](const auto& field) { return field.first == words[0]; });
    if (known == std::end(kFields)) return InvalidOrder("names a field that lists are not ordered by");
    const Term term = {known->second, words.size() == 2};
    if (std::any_of(order_.begin(), order_.end(), [&](const Term& other) { return other.field == term.field; })) {
      return InvalidOrder("names a field twice");
    }
    order_.push_back(term);
    needs_use_ = needs_use_ || term.field == Field::kLastUseTime;
  }
  by_name_ = order_[0].field == Field::kName && !order_[0].descending;
  return absl::OkStatus();
}

bool CredentialQuery::HasScope(v1::CredentialScope scope) const {
  return std::find(filter_.scopes().begin(), filter_.scopes().end(), scope) != filter_.scopes().end();
}

bool CredentialQuery::MatchesRecord(const storage::records::CredentialRecord& record, v1::CredentialStatus status,
                                    absl::Time now) const {
  if (!filter_.id_pattern().empty() && !MatchesPattern(filter_.id_pattern(), record.id())) return false;
  if (filter_.status() != v1::CREDENTIAL_STATUS_UNSPECIFIED && filter_.status() != status) return false;
  if (filter_.source() != v1::CREDENTIAL_SOURCE_UNSPECIFIED && filter_.source() != record.source()) return false;
  if (filter_.has_unused_since() && record.create_time() >= unused_since_) return false;
  return !filter_.rotation_overdue() || IsRotationOverdue(record, now);
}

bool CredentialQuery::MatchesUse(const storage::records::CredentialRecord& record, const LastUse& use) const {
  if (!filter_.has_unused_since()) return true;
  return record.create_time() < unused_since_ && (use.count == 0 || absl::ToUnixNanos(use.time) < unused_since_);
}

bool CredentialQuery::MatchesMine(absl::string_view id, v1::MyCredentialStatus status,
                                  v1::CredentialSource source) const {
  if (!filter_.id_pattern().empty() && !MatchesPattern(filter_.id_pattern(), id)) return false;
  if (filter_.source() != v1::CREDENTIAL_SOURCE_UNSPECIFIED && filter_.source() != source) return false;
  return my_statuses_.empty() || std::find(my_statuses_.begin(), my_statuses_.end(), status) != my_statuses_.end();
}

ListPosition CredentialQuery::PositionOf(std::string name, const storage::records::CredentialRecord& record,
                                         const LastUse& use) const {
  ListPosition position;
  position.name = std::move(name);
  for (const Term& term : order_) {
    int64_t key = 0;
    switch (term.field) {
      case Field::kName:
        break;
      case Field::kCreateTime:
        key = TimeKey(record.create_time());
        break;
      case Field::kUpdateTime:
        key = TimeKey(record.update_time());
        break;
      case Field::kLastUseTime:
        key = use.count == 0 ? ListPosition::kNoTime : absl::ToUnixNanos(use.time);
        break;
      case Field::kRotateBy:
        key = TimeKey(record.rotate_by());
        break;
    }
    position.keys.push_back(key);
  }
  return position;
}

bool CredentialQuery::Before(const ListPosition& a, const ListPosition& b) const {
  for (size_t i = 0; i < order_.size(); ++i) {
    if (order_[i].field == Field::kName) {
      if (a.name == b.name) continue;
      return (a.name < b.name) != order_[i].descending;
    }
    if (a.keys[i] == b.keys[i]) continue;
    // Last in either direction.
    if (a.keys[i] == ListPosition::kNoTime) return false;
    if (b.keys[i] == ListPosition::kNoTime) return true;
    return (a.keys[i] < b.keys[i]) != order_[i].descending;
  }
  return a.name < b.name;
}

std::string CredentialQuery::EncodePosition(const ListPosition& position) {
  std::string text = position.name;
  for (const int64_t key : position.keys) absl::StrAppend(&text, " ", key);
  return text;
}

absl::StatusOr<ListPosition> CredentialQuery::DecodePosition(absl::string_view text) const {
  const std::vector<absl::string_view> words = absl::StrSplit(text, ' ');
  ListPosition position;
  position.name = std::string(words[0]);
  position.keys.resize(words.size() - 1);
  bool good = position.keys.size() == order_.size();
  for (size_t i = 1; i < words.size(); ++i) good = good && absl::SimpleAtoi(words[i], &position.keys[i - 1]);
  if (!good) return InvalidField("page_token", "not a token of this list", "Start again without a page token.");
  return position;
}

}  // namespace keyferry::server
