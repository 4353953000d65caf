#ifndef KEYFERRY_SERVER_CREDENTIALS_CREDENTIAL_QUERY_H_
#define KEYFERRY_SERVER_CREDENTIALS_CREDENTIAL_QUERY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "keyferry/v1/credentials.pb.h"
#include "server/usage/usage_recorder.h"
#include "storage/records/records.pb.h"

namespace keyferry::server {

// Where one credential stands in an ordered list: what the order compares.
struct ListPosition {
  // Full resource name; breaks ties.
  std::string name;
  // For each term of the order nanoseconds, kNoTime for none; 0 for a term that is the name itself.
  std::vector<int64_t> keys;

  static constexpr int64_t kNoTime = INT64_MIN;
};

// The filter and the order of one list of credentials, checked.
class CredentialQuery {
 public:
  // INVALID_ARGUMENT on `filter.scopes[i]`, `filter.id_pattern`, `filter.status`, `filter.source`,
  // `filter.unused_since` or `order_by`. Whether `scopes` fits the parent is not looked at.
  static absl::StatusOr<CredentialQuery> From(const v1::ListCredentialsRequest& request);
  // INVALID_ARGUMENT on `id_pattern`, `statuses[i]`, `source` or `order_by`. What matches is told by MatchesMine.
  static absl::StatusOr<CredentialQuery> From(const v1::ListMyCredentialsRequest& request);

  bool HasScopes() const { return !filter_.scopes().empty(); }
  bool HasScope(v1::CredentialScope scope) const;

  // Whether MatchesUse or PositionOf looks at the last use.
  bool NeedsUse() const { return needs_use_; }

  // The two halves of the filter: what the record tells, and what the last use tells.
  bool MatchesRecord(const storage::records::CredentialRecord& record, v1::CredentialStatus status,
                     absl::Time now) const;
  bool MatchesUse(const storage::records::CredentialRecord& record, const LastUse& use) const;
  // The whole filter of a ListMyCredentialsRequest.
  bool MatchesMine(absl::string_view id, v1::MyCredentialStatus status, v1::CredentialSource source) const;

  // Whether the list is in ascending order of full names.
  bool IsByName() const { return by_name_; }
  // A record that is not there has no times.
  ListPosition PositionOf(std::string name, const storage::records::CredentialRecord& record, const LastUse& use) const;
  // Whether `a` comes before `b`: a strict total order, since names differ.
  bool Before(const ListPosition& a, const ListPosition& b) const;

  // The position as a page token carries it, and back; INVALID_ARGUMENT on `page_token` if it is none of this order.
  static std::string EncodePosition(const ListPosition& position);
  absl::StatusOr<ListPosition> DecodePosition(absl::string_view text) const;

  // What a page token of this list is bound to: the parent, the filter and the order. Without line breaks.
  std::string PageScope() const { return page_scope_; }

 private:
  enum class Field { kName, kCreateTime, kUpdateTime, kLastUseTime, kRotateBy };
  struct Term {
    Field field;
    bool descending = false;
  };

  absl::Status SetFilter(const v1::CredentialFilter& filter);
  absl::Status SetOrder(absl::string_view order_by);

  v1::CredentialFilter filter_;
  // Of a ListMyCredentialsRequest; empty for all.
  std::vector<v1::MyCredentialStatus> my_statuses_;
  // Nanoseconds, 0 for none.
  int64_t unused_since_ = 0;
  std::vector<Term> order_;
  bool by_name_ = true;
  bool needs_use_ = false;
  std::string page_scope_;
};

// Whether `text` is as `pattern` says: `*` stands for any characters, `?` for one.
bool MatchesPattern(absl::string_view pattern, absl::string_view text);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_CREDENTIALS_CREDENTIAL_QUERY_H_
