#ifndef KEYFERRY_SERVER_IDENTITY_TESTING_EXTERNAL_H_
#define KEYFERRY_SERVER_IDENTITY_TESTING_EXTERNAL_H_

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "server/errors.h"
#include "server/identity/external_identities.h"

namespace keyferry::server {

// Testonly. Admits the tokens and certificates that the test names, each by its own text as hash. Identities of
// `cluster` and `prod` may enter the organizations that the test lets in, at first `acme` alone.
class FakeExternalIdentities : public ExternalIdentities {
 public:
  bool TakesTokens() const override { return true; }
  absl::StatusOr<Admitted> VerifyToken(absl::string_view token, const std::string& hash,
                                       const Question& question) override {
    const auto found = known.find(std::string(token));
    if (found == known.end()) return Refused();
    const Admitted admitted = found->second;
    const absl::Status granted = question.granted(*admitted.identity);
    if (!granted.ok()) return granted;
    streams += question.stream ? 1 : 0;
    const bool limited = question.may_verify != nullptr && question.in_vain != nullptr;
    (limited ? limited_questions : unlimited_questions) += 1;
    by_hash[hash] = admitted;
    if (after_verifying != nullptr) after_verifying();
    return admitted;
  }
  absl::StatusOr<Admitted> VerifyCertificate(absl::string_view pem_chain, std::string* hash,
                                             const Question& question) override {
    *hash = std::string(pem_chain);
    return VerifyToken(pem_chain, *hash, question);
  }
  absl::StatusOr<Admitted> VerifyAgain(const std::string& hash, const Granted&) override {
    const auto found = by_hash.find(hash);
    if (found == by_hash.end()) return forgotten;
    return found->second;
  }
  bool MayEnter(absl::string_view issuer, absl::string_view, absl::string_view org) const override {
    return entered.count(std::string(org)) != 0 && (issuer == "cluster" || issuer == "prod");
  }
  std::string UrlOf(absl::string_view issuer) const override {
    return issuer == "cluster" || issuer == "prod" ? "https://" + std::string(issuer) : "";
  }
  absl::Status RefuseUngranted(const ExternalIdentity&, absl::string_view why) override {
    refused_for = std::string(why);
    return Refused();
  }
  uint64_t Generation() const override { return generation; }

  void Add(const std::string& token, ExternalIdentity identity, absl::Time expire_time = absl::InfiniteFuture()) {
    if (identity.issuer_url.empty()) identity.issuer_url = UrlOf(identity.issuer);
    known[token] = {std::make_shared<const ExternalIdentity>(std::move(identity)), expire_time};
  }

  // Organizations that may be entered.
  std::set<std::string> entered = {"acme"};
  // To be changed with `entered`.
  uint64_t generation = 0;
  // Why somebody was refused last to whom nothing is granted.
  std::string refused_for;
  // Called at the end of each verification. May be null.
  std::function<void()> after_verifying;
  // How many were asked about for a stream.
  int streams = 0;
  // How many came with the limits of their call, and how many without.
  std::atomic<int> limited_questions{0};
  std::atomic<int> unlimited_questions{0};
  // What is said of those whom nobody knows any more.
  absl::Status forgotten = absl::NotFoundError("not known");
  std::map<std::string, Admitted> known;
  std::map<std::string, Admitted> by_hash;

 private:
  static absl::Status Refused() {
    v1::ErrorDetail detail;
    detail.set_reason("IDENTITY_REFUSED");
    return MakeError(absl::StatusCode::kUnauthenticated, "the identity was refused", detail);
  }
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_IDENTITY_TESTING_EXTERNAL_H_
