#ifndef KEYFERRY_SERVER_PAGINATION_H_
#define KEYFERRY_SERVER_PAGINATION_H_

#include <algorithm>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/identity/caller.h"
#include "server/status_macros.h"
#include "storage/crypto/secret_bytes.h"

namespace keyferry::server {

// Makes and reads page tokens: opaque, and valid only for the same caller, method and parent. They carry the last id
// that the caller was shown and an HMAC-SHA-256 under a key of this process, so they end with it. Thread-safe.
class PageTokens {
 public:
  // A random key.
  PageTokens();
  explicit PageTokens(storage::SecretBytes key);

  std::string Make(const Caller& caller, absl::string_view method, absl::string_view parent,
                   absl::string_view last_id) const;

  // The last id shown; "" for an empty token. INVALID_ARGUMENT on `page_token` for a token that was changed, comes from
  // another request or from before a restart.
  absl::StatusOr<std::string> Read(const Caller& caller, absl::string_view method, absl::string_view parent,
                                   absl::string_view token) const;

 private:
  std::string Tag(const Caller& caller, absl::string_view method, absl::string_view parent,
                  absl::string_view last_id) const;

  storage::SecretBytes key_;
};

// The page size to use: 100 for 0, at most 1000 (AIP-158). INVALID_ARGUMENT on `page_size` if negative.
absl::StatusOr<size_t> EffectivePageSize(int32_t requested);

// One page of `ids`, which need not be sorted: what comes after the page token's id in order of id.
struct IdPage {
  std::vector<std::string> ids;
  std::string next_page_token;
};
absl::StatusOr<IdPage> MakePage(const PageTokens& tokens, const Caller& caller, absl::string_view method,
                                absl::string_view parent, int32_t page_size, absl::string_view page_token,
                                std::vector<std::string> ids);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_PAGINATION_H_
