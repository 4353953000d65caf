#include "server/identity/jwt/jwk_set.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/identity/jwt/base64url.h"
#include "server/identity/jwt/json_member.h"
#include "server/oauth/protocol/document.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

// A number of a key. Empty if it is missing or spelled wrongly, which no key's number is.
std::string NumberOf(const Document& key, absl::string_view name) {
  const Document* const member = Member(key, name);
  if (member == nullptr || !member->is_string()) return "";
  return DecodeBase64Url(member->text()).value_or("");
}

// Whether the key's owner lets it verify signatures (RFC 7517, sections 4.2 and 4.3).
bool MayVerify(const Document& key) {
  const Document* const use = Member(key, "use");
  if (use != nullptr && !(use->is_string() && use->text() == "sig")) return false;
  const Document* const operations = Member(key, "key_ops");
  if (operations == nullptr) return true;
  return operations->kind() == Document::Kind::kArray &&
         std::any_of(operations->members().begin(), operations->members().end(), [](const auto& operation) {
           return operation.second.is_string() && operation.second.text() == "verify";
         });
}

// The algorithm that keys of this type and curve are used for; nullopt for one that is not known.
std::optional<JwtAlgorithm> AlgorithmOfType(const Document& key) {
  const absl::string_view type = MemberText(key, "kty");
  const absl::string_view curve = MemberText(key, "crv");
  if (type == "RSA") return JwtAlgorithm::kRs256;
  if (type == "EC" && curve == "P-256") return JwtAlgorithm::kEs256;
  if (type == "OKP" && curve == "Ed25519") return JwtAlgorithm::kEdDsa;
  return std::nullopt;
}

std::unique_ptr<const VerificationKey> MakeKey(JwtAlgorithm algorithm, const Document& key) {
  switch (algorithm) {
    case JwtAlgorithm::kRs256:
      return VerificationKey::Rsa(NumberOf(key, "n"), NumberOf(key, "e"));
    case JwtAlgorithm::kEs256:
      return VerificationKey::P256(NumberOf(key, "x"), NumberOf(key, "y"));
    case JwtAlgorithm::kEdDsa:
      break;
  }
  return VerificationKey::Ed25519(NumberOf(key, "x"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<const JwkSet>> JwkSet::Parse(absl::string_view json) {
  ASSIGN_OR_RETURN(const Document document, Document::ParseJson(json));
  const Document* const keys = Member(document, "keys");
  if (keys == nullptr || keys->kind() != Document::Kind::kArray) {
    return absl::InvalidArgumentError("it is no set of keys (RFC 7517)");
  }
  if (keys->members().size() > kMaxKeys) {
    return absl::InvalidArgumentError(absl::StrCat("it holds more than ", kMaxKeys, " keys"));
  }
  std::vector<Entry> entries;
  for (size_t i = 0; i < keys->members().size(); ++i) {
    const Document& key = keys->members()[i].second;
    if (!key.is_object()) return absl::InvalidArgumentError(absl::StrCat("its key ", i, " is no object"));
    const std::optional<JwtAlgorithm> algorithm = AlgorithmOfType(key);
    if (!algorithm.has_value() || !MayVerify(key)) continue;
    const Document* const named = Member(key, "alg");
    if (named != nullptr && !(named->is_string() && named->text() == NameOf(*algorithm))) continue;
    const Document* const id = Member(key, "kid");
    if (id != nullptr && (!id->is_string() || id->text().size() > kMaxKeyIdBytes)) {
      return absl::InvalidArgumentError(absl::StrCat("its key ", i, " has an id that is no text of at most 256 bytes"));
    }
    Entry entry;
    entry.id = id == nullptr ? "" : std::string(id->text());
    entry.key = MakeKey(*algorithm, key);
    if (entry.key == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat(
          "its key ", i, " is none that may be used: RSA of 2048 to 8192 bits, a point of P-256, or Ed25519"));
    }
    const bool twice = std::any_of(entries.begin(), entries.end(), [&](const Entry& other) {
      return other.id == entry.id && other.key->algorithm() == *algorithm && !entry.id.empty();
    });
    if (twice) return absl::InvalidArgumentError(absl::StrCat("its key ", i, " has the id of another one"));
    entries.push_back(std::move(entry));
  }
  return std::unique_ptr<const JwkSet>(new JwkSet(std::move(entries)));
}

bool JwkSet::Contains(absl::string_view fingerprint) const {
  return std::any_of(entries_.begin(), entries_.end(),
                     [&](const Entry& entry) { return entry.key->fingerprint() == fingerprint; });
}

const VerificationKey* JwkSet::Find(JwtAlgorithm algorithm, absl::string_view key_id) const {
  const VerificationKey* found = nullptr;
  for (const Entry& entry : entries_) {
    if (entry.key->algorithm() != algorithm || (!key_id.empty() && entry.id != key_id)) continue;
    if (found != nullptr) return nullptr;
    found = entry.key.get();
  }
  return found;
}

}  // namespace keyferry::server
