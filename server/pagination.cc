#include "server/pagination.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "openssl/hmac.h"
#include "openssl/sha.h"
#include "server/errors.h"

namespace keyferry::server {
namespace {

constexpr size_t kTagBytes = SHA256_DIGEST_LENGTH;
constexpr int32_t kDefaultPageSize = 100;
constexpr int32_t kMaxPageSize = 1000;

storage::SecretBytes RandomKey() {
  storage::SecretBytes key(kTagBytes);
  storage::RandomBytes(key.ExposeMutable());
  return key;
}

}  // namespace

PageTokens::PageTokens() : PageTokens(RandomKey()) {}

PageTokens::PageTokens(storage::SecretBytes key) : key_(std::move(key)) {}

std::string PageTokens::Tag(const Caller& caller, absl::string_view method, absl::string_view parent,
                            absl::string_view last_id) const {
  // Newlines separate: none of the parts can hold one.
  const std::string message = absl::StrCat(caller.Name(), "\n", method, "\n", parent, "\n", last_id);
  std::string tag(kTagBytes, '\0');
  unsigned int length = 0;
  const absl::string_view key = key_.Expose();
  HMAC(EVP_sha256(), key.data(), key.size(), reinterpret_cast<const uint8_t*>(message.data()), message.size(),
       reinterpret_cast<uint8_t*>(&tag[0]), &length);
  return tag;
}

std::string PageTokens::Make(const Caller& caller, absl::string_view method, absl::string_view parent,
                             absl::string_view last_id) const {
  return absl::WebSafeBase64Escape(absl::StrCat(Tag(caller, method, parent, last_id), last_id));
}

absl::StatusOr<std::string> PageTokens::Read(const Caller& caller, absl::string_view method, absl::string_view parent,
                                             absl::string_view token) const {
  if (token.empty()) return std::string();
  std::string raw;
  if (absl::WebSafeBase64Unescape(token, &raw) && raw.size() > kTagBytes && absl::WebSafeBase64Escape(raw) == token) {
    std::string last_id = raw.substr(kTagBytes);
    const std::string tag = Tag(caller, method, parent, last_id);
    if (storage::ConstantTimeEquals(tag, absl::string_view(raw).substr(0, kTagBytes))) return last_id;
  }
  return InvalidField("page_token", "not a token of this list", "Start again without a page token.");
}

absl::StatusOr<size_t> EffectivePageSize(int32_t requested) {
  if (requested < 0) return InvalidField("page_size", "negative", "Send 1 to 1000, or 0 for 100.");
  return static_cast<size_t>(requested == 0 ? kDefaultPageSize : std::min(requested, kMaxPageSize));
}

absl::StatusOr<IdPage> MakePage(const PageTokens& tokens, const Caller& caller, absl::string_view method,
                                absl::string_view parent, int32_t page_size, absl::string_view page_token,
                                std::vector<std::string> ids) {
  ASSIGN_OR_RETURN(const size_t size, EffectivePageSize(page_size));
  ASSIGN_OR_RETURN(const std::string last_id, tokens.Read(caller, method, parent, page_token));
  std::sort(ids.begin(), ids.end());
  const auto first = page_token.empty() ? ids.begin() : std::upper_bound(ids.begin(), ids.end(), last_id);
  const auto last = first + std::min<ptrdiff_t>(static_cast<ptrdiff_t>(size), ids.end() - first);
  IdPage page;
  page.ids.assign(first, last);
  if (last != ids.end() && !page.ids.empty())
    page.next_page_token = tokens.Make(caller, method, parent, page.ids.back());
  return page;
}

}  // namespace keyferry::server
