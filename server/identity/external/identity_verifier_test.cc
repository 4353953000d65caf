#include "server/identity/external/identity_verifier.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "server/errors.h"
#include "server/identity/external/testing_identity.h"
#include "server/identity/jwt/testing_jwt.h"
#include "storage/crypto/sha256.h"

namespace keyferry::server {
namespace {

constexpr char kIssuer[] = "https://kubernetes.default.svc";

class IdentityVerifierTest : public ::testing::Test {
 protected:
  explicit IdentityVerifierTest(bool reviewed = false) : key_(JwtAlgorithm::kEs256, "k1"), keys_(TestJwks(key_.Jwk())) {
    auto trusted = std::make_shared<TrustedIssuer>();
    TrustedIssuer& issuer = *trusted;
    issuer.config.set_name("cluster");
    issuer.config.set_issuer(kIssuer);
    issuer.config.add_audience("keyferry");
    issuer.config.add_algorithms("ES256");
    issuer.config.add_orgs("acme");
    issuer.config.add_orgs("shared=ml,tools-*");
    issuer.config.mutable_token_review()->set_cache_seconds(10);
    issuer.keys = std::make_shared<KeySource>("cluster", keys_.MakeReader(), clock_, &log_, KeySource::Options());
    source_ = issuer.keys.get();
    AwaitRead(source_);
    now_ += 11;
    if (reviewed) {
      auto reviewer = std::make_unique<FakeReviewer>();
      reviewer_ = reviewer.get();
      issuer.reviewer = std::move(reviewer);
    }
    IdentityTrust trust;
    trust.issuers.push_back(std::move(trusted));
    verifier_ = std::make_unique<IdentityVerifier>(std::move(trust), clock_, &log_, /*max_cached=*/8);
  }

  absl::Time now() const { return absl::FromUnixSeconds(now_); }
  std::string Claims(absl::string_view pod = "pod-0") const {
    return TestServiceAccountClaims(kIssuer, "tools", "runner", pod, "uid-0", now());
  }
  static std::string HashOf(absl::string_view token) { return std::string(storage::View(storage::Sha256({token}))); }
  absl::StatusOr<ExternalIdentities::Admitted> Verify(const std::string& token,
                                                      ExternalIdentities::Pending* pending = nullptr) {
    return verifier_->VerifyToken(token, HashOf(token), {granted_, /*stream=*/false, pending});
  }
  // As a call does for which it is asked before a signature is verified.
  absl::StatusOr<ExternalIdentities::Admitted> VerifyCounting(const std::string& token) {
    const auto may_verify = [this] {
      ++verified_;
      return may_verify_;
    };
    const auto may_repeat = [this] { return may_verify_; };
    return verifier_->VerifyToken(
        token, HashOf(token),
        {granted_, /*stream=*/false, /*pending=*/nullptr, may_verify, may_repeat, [this] { ++in_vain_; }});
  }
  // The configuration with a change, and keys from the same place.
  IdentityTrust Changed(const std::function<void(config::Issuer*)>& change) {
    const std::shared_ptr<TrustedIssuer> before = verifier_->trust()->issuers[0];
    auto issuer = std::make_shared<TrustedIssuer>();
    issuer->config = before->config;
    issuer->keys = before->keys;
    if (reviewer_ != nullptr) {
      auto reviewer = std::make_unique<FakeReviewer>();
      reviewer_ = reviewer.get();
      issuer->reviewer = std::move(reviewer);
    }
    change(&issuer->config);
    IdentityTrust trust;
    trust.issuers.push_back(std::move(issuer));
    return trust;
  }
  absl::StatusOr<ExternalIdentities::Admitted> VerifyStream(const std::string& token) {
    return verifier_->VerifyToken(token, HashOf(token), {granted_, /*stream=*/true, /*pending=*/nullptr});
  }
  absl::StatusOr<ExternalIdentities::Admitted> VerifyAgain(const std::string& hash) {
    return verifier_->VerifyAgain(hash, granted_);
  }
  std::string ReasonOf(const absl::Status& status) {
    v1::ErrorDetail detail;
    return GetDetail(status, &detail) ? detail.reason() : status.ToString();
  }

  std::atomic<int64_t> now_{1700000000};
  absl::Status grant_;
  absl::Status may_verify_;
  int verified_ = 0;
  int in_vain_ = 0;
  const ExternalIdentities::Granted granted_ = [this](const ExternalIdentity&) { return grant_; };
  const std::function<absl::Time()> clock_ = [this] { return now(); };
  KeptLog log_;
  TestJwtKey key_;
  FakeKeys keys_;
  KeySource* source_ = nullptr;
  FakeReviewer* reviewer_ = nullptr;
  std::unique_ptr<IdentityVerifier> verifier_;
};

TEST_F(IdentityVerifierTest, AGoodTokenSaysWhoseItIs) {
  const auto admitted = Verify(key_.Sign(Claims()));
  ASSERT_TRUE(admitted.ok()) << admitted.status();
  EXPECT_EQ(admitted->identity->issuer, "cluster");
  EXPECT_EQ(admitted->identity->subject, "system:serviceaccount:tools:runner");
  EXPECT_EQ(admitted->identity->name_space, "tools");
  EXPECT_EQ(admitted->identity->service_account, "runner");
  EXPECT_EQ(admitted->identity->pod, "pod-0");
  EXPECT_EQ(admitted->identity->pod_uid, "uid-0");
  EXPECT_EQ(admitted->expire_time, now() + absl::Hours(1) + kJwtLeeway);
}

TEST_F(IdentityVerifierTest, AnOrgIsEnteredByWhomTheConfigurationLetsIn) {
  EXPECT_TRUE(verifier_->MayEnter("cluster", "tools", "acme"));
  EXPECT_FALSE(verifier_->MayEnter("cluster", "tools", "rival"));
  EXPECT_FALSE(verifier_->MayEnter("other", "tools", "acme"));
  EXPECT_FALSE(verifier_->MayEnter("", "tools", "acme"));
  for (const char* name_space : {"ml", "tools-", "tools-a"}) {
    EXPECT_TRUE(verifier_->MayEnter("cluster", name_space, "shared")) << name_space;
  }
  for (const char* name_space : {"", "tools", "m", "mlx", "ml,tools-*", "x-tools-a"}) {
    EXPECT_FALSE(verifier_->MayEnter("cluster", name_space, "shared")) << name_space;
  }
}

TEST_F(IdentityVerifierTest, EveryRefusalIsTheSameAndOnlyTheLogSaysWhy) {
  const auto changed = [&](absl::string_view from, absl::string_view to) {
    const std::string claims = absl::StrReplaceAll(Claims(), {{from, to}});
    EXPECT_NE(claims, Claims()) << from;
    return key_.Sign(claims);
  };
  const TestJwtKey stranger(JwtAlgorithm::kEs256, "k1"), unknown(JwtAlgorithm::kEs256, "k9"),
      rsa(JwtAlgorithm::kRs256, "k1");
  AwaitRead(source_);  // An unknown key does not make it read again so soon.
  const struct {
    const char* why;
    std::string token;
  } cases[] = {
      {"its issuer (`iss`) is not configured", changed(kIssuer, "https://evil.example")},
      {"another audience", changed(R"(["keyferry"])", R"(["vault"])")},
      {"it has expired",
       key_.Sign(TestServiceAccountClaims(kIssuer, "tools", "runner", "p", "u", now() - absl::Hours(2)))},
      {"not valid yet",
       key_.Sign(TestServiceAccountClaims(kIssuer, "tools", "runner", "p", "u", now() + absl::Hours(2)))},
      {"signature does not hold", stranger.Sign(Claims())},
      {"signature does not hold", stranger.Sign(absl::StrReplaceAll(Claims(), {{"kubernetes.io", "example.com"}}))},
      {"is none of the issuer's", unknown.Sign(Claims())},
      {"its algorithm (`alg`)", rsa.Sign(Claims())},
      {"its algorithm (`alg`)", key_.SignText(R"({"alg":"none","kid":"k1"})", Claims())},
      {"its algorithm (`alg`)", key_.SignText(R"({"alg":"HS256","kid":"k1"})", Claims())},
      {"(`crit`)", key_.SignText(R"({"alg":"ES256","kid":"k1","crit":["b64"]})", Claims())},
      {"larger than 16 KiB", key_.Sign(std::string(kMaxJwtBytes, ' ') + Claims())},
      {"no service account's", changed(R"("kubernetes.io")", R"("example.com")")},
      {"no service account's", changed(R"("namespace":"tools")", R"("namespace":"prod")")},
      {"no service account's", changed(R"("sub":"system:serviceaccount:tools:runner")", R"("sub":"root")")},
      {"no service account's", changed(R"("uid":"uid-0")", R"("uid":"")")},
      {"has a name twice", changed(R"("namespace":"tools")", R"("namespace":"tools","namespace":"prod")")},
  };
  log_.Take();
  const absl::Status same = Verify("x.y.z").status();
  EXPECT_EQ(ReasonOf(same), "IDENTITY_REFUSED");
  log_.Take();
  for (const auto& c : cases) {
    const absl::Status refused = Verify(c.token).status();
    EXPECT_EQ(refused, same) << c.why << refused;
    const std::string line = log_.Take();
    EXPECT_NE(line.find(c.why), std::string::npos) << c.why << ": " << line;
    // No part of a token is there, whatever it is called.
    for (size_t at = 0; at + 24 < c.token.size(); at += 12) {
      ASSERT_EQ(line.find(c.token.substr(at, 24)), std::string::npos) << line;
    }
  }
}

TEST_F(IdentityVerifierTest, ANewKeyIsReadWhenATokenOfItComes) {
  const TestJwtKey next(JwtAlgorithm::kEs256, "k2");
  keys_.Set(TestJwks(absl::StrCat(key_.Jwk(), ",", next.Jwk())));
  const std::string token = next.Sign(Claims());
  ExternalIdentities::Pending pending;
  EXPECT_EQ(ReasonOf(Verify(token, &pending).status()), "IDENTITY_UNAVAILABLE");
  ASSERT_NE(pending, nullptr);
  absl::Notification read;
  pending([&read] { read.Notify(); });
  read.WaitForNotification();
  EXPECT_TRUE(Verify(token).ok());
  // Keys that are made up make it read no more in the interval.
  const int reads = keys_.reads();
  pending = nullptr;
  for (int i = 0; i < 20; ++i) {
    const TestJwtKey unknown(JwtAlgorithm::kEs256, absl::StrCat("made-up-", i));
    EXPECT_EQ(ReasonOf(Verify(unknown.Sign(Claims()), &pending).status()), "IDENTITY_REFUSED");
  }
  EXPECT_EQ(pending, nullptr);
  EXPECT_EQ(keys_.reads(), reads);
}

TEST_F(IdentityVerifierTest, WhatWasVerifiedCountsUntilItExpiresOrItsKeyIsTakenAway) {
  const std::string token = key_.Sign(Claims());
  const std::string hash = HashOf(token);
  EXPECT_EQ(ReasonOf(VerifyAgain(hash).status()), "IDENTITY_UNAVAILABLE") << "it may have been kept before";
  ASSERT_TRUE(Verify(token).ok());
  EXPECT_TRUE(VerifyAgain(hash).ok());
  keys_.Set(TestJwks(TestJwtKey(JwtAlgorithm::kEs256, "k1").Jwk()));
  AwaitRead(source_);
  EXPECT_TRUE(absl::IsNotFound(VerifyAgain(hash).status()));
  EXPECT_EQ(ReasonOf(Verify(token).status()), "IDENTITY_REFUSED");
  keys_.Set(TestJwks(key_.Jwk()));
  now_ += 11;
  AwaitRead(source_);
  ASSERT_TRUE(Verify(token).ok());
  now_ += 3600 + 60 - 11;
  EXPECT_TRUE(absl::IsNotFound(VerifyAgain(hash).status()));
  EXPECT_EQ(ReasonOf(Verify(token).status()), "IDENTITY_REFUSED");
}

TEST_F(IdentityVerifierTest, WithoutKeysNobodyIsKnown) {
  const std::string token = key_.Sign(Claims());
  ASSERT_TRUE(Verify(token).ok());
  keys_.Set(absl::UnavailableError("down"));
  now_ += 25 * 3600;
  EXPECT_EQ(ReasonOf(Verify(key_.Sign(Claims())).status()), "IDENTITY_UNAVAILABLE");
}

TEST_F(IdentityVerifierTest, KeysThatAreTooOldEndNoStreamForGood) {
  const std::string token =
      key_.Sign(TestServiceAccountClaims(kIssuer, "tools", "runner", "pod-0", "uid-0", now() + absl::Hours(25)));
  now_ += 25 * 3600;
  AwaitRead(source_);
  ASSERT_TRUE(Verify(token).ok());
  keys_.Set(absl::UnavailableError("down"));
  // As much as the keys may be old, less than the token lasts: a clock that was set back makes nothing young.
  now_ -= 60;
  EXPECT_EQ(ReasonOf(VerifyAgain(HashOf(token)).status()), "IDENTITY_UNAVAILABLE");
  now_ += 60;
  EXPECT_TRUE(VerifyAgain(HashOf(token)).ok());
}

TEST_F(IdentityVerifierTest, WhatIsNotGrantedTakesNoPlace) {
  const std::string good = key_.Sign(Claims());
  ASSERT_TRUE(Verify(good).ok());
  grant_ = absl::UnauthenticatedError("not granted");
  for (int i = 0; i < 50; ++i) EXPECT_EQ(Verify(key_.Sign(Claims(absl::StrCat("pod-", i)))).status(), grant_);
  EXPECT_TRUE(VerifyAgain(HashOf(good)).ok());
}

TEST_F(IdentityVerifierTest, WhatWasRefusedCostsNoSecondSignature) {
  const TestJwtKey stranger(JwtAlgorithm::kEs256, "k1");
  const std::string forged = stranger.Sign(Claims());
  EXPECT_EQ(ReasonOf(VerifyCounting(forged).status()), "IDENTITY_REFUSED");
  EXPECT_EQ(verified_, 1);
  EXPECT_EQ(ReasonOf(VerifyCounting(forged).status()), "IDENTITY_REFUSED");
  EXPECT_EQ(verified_, 1);
  EXPECT_EQ(in_vain_, 1) << "each signature once";
  // Keys that are read anew may be others.
  keys_.Set(TestJwks(stranger.Jwk()));
  AwaitRead(source_);
  EXPECT_TRUE(VerifyCounting(forged).ok());
  EXPECT_EQ(verified_, 2);
}

TEST_F(IdentityVerifierTest, WhatIsNotGrantedCostsNoSecondSignatureAndIsGrantedAtOnce) {
  const std::string token = key_.Sign(Claims());
  grant_ = absl::UnauthenticatedError("not granted");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(VerifyCounting(token).status(), grant_);
  EXPECT_EQ(verified_, 1);
  grant_ = absl::OkStatus();
  EXPECT_TRUE(VerifyCounting(token).ok());
  EXPECT_EQ(verified_, 1);
  EXPECT_TRUE(VerifyAgain(HashOf(token)).ok());
  // What is remembered is forgotten with the key that verified it, and after a minute.
  grant_ = absl::UnauthenticatedError("not granted");
  const std::string other = key_.Sign(Claims("pod-1"));
  EXPECT_FALSE(VerifyCounting(other).ok());
  now_ += 60;
  EXPECT_FALSE(VerifyCounting(other).ok());
  EXPECT_EQ(verified_, 3);
  keys_.Set(TestJwks(TestJwtKey(JwtAlgorithm::kEs256, "k1").Jwk()));
  AwaitRead(source_);
  grant_ = absl::OkStatus();
  EXPECT_EQ(ReasonOf(VerifyCounting(other).status()), "IDENTITY_REFUSED");
}

TEST_F(IdentityVerifierTest, WhatIsRefusedDrivesOutNothingThatIsKept) {
  const std::string good = key_.Sign(Claims());
  ASSERT_TRUE(VerifyCounting(good).ok());
  const TestJwtKey stranger(JwtAlgorithm::kEs256, "k1");
  for (int i = 0; i < 200; ++i) {
    EXPECT_FALSE(VerifyCounting(stranger.Sign(Claims(absl::StrCat("pod-", i)))).ok());
  }
  const int verified = verified_;
  EXPECT_TRUE(VerifyCounting(good).ok());
  EXPECT_EQ(verified_, verified);
}

TEST_F(IdentityVerifierTest, NothingNewIsVerifiedForWhomItMayNotBe) {
  const std::string known = key_.Sign(Claims());
  ASSERT_TRUE(VerifyCounting(known).ok());
  may_verify_ = absl::ResourceExhaustedError("too many");
  EXPECT_EQ(VerifyCounting(key_.Sign(Claims("pod-1"))).status(), may_verify_);
  EXPECT_TRUE(VerifyCounting(known).ok());
}

TEST_F(IdentityVerifierTest, WhatCostsNoSignatureIsVerifiedInNobodysVain) {
  for (const std::string& token : {std::string("a.b.c"), key_.SignText(R"({"alg":"none","kid":"k1"})", Claims()),
                                   key_.Sign(absl::StrReplaceAll(Claims(), {{kIssuer, "other"}})),
                                   TestJwtKey(JwtAlgorithm::kEs256, "k9").Sign(Claims())}) {
    EXPECT_FALSE(VerifyCounting(token).ok());
  }
  now_ += 7200;
  EXPECT_EQ(ReasonOf(VerifyCounting(key_.Sign(TestServiceAccountClaims(kIssuer, "tools", "runner", "pod-0", "uid-0",
                                                                       now() - absl::Hours(2))))
                         .status()),
            "IDENTITY_REFUSED")
      << "expired";
  EXPECT_EQ(in_vain_, 0);
  EXPECT_TRUE(VerifyCounting(key_.Sign(Claims())).ok());
  EXPECT_EQ(in_vain_, 0);
}

TEST_F(IdentityVerifierTest, WhoeverIsGrantedNothingIsLookedAtSoOftenAndWarnedOfOnce) {
  const std::string token = key_.Sign(Claims());
  ExternalIdentities::Admitted admitted = *Verify(key_.Sign(Claims("pod-1")));
  grant_ = absl::UnauthenticatedError("not granted");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(VerifyCounting(token).status(), grant_);
  EXPECT_EQ(in_vain_, 3);
  may_verify_ = absl::ResourceExhaustedError("too many");
  EXPECT_EQ(VerifyCounting(token).status(), may_verify_);
  const auto warnings = [&] {
    log_.Take();
    for (int i = 0; i < 5; ++i) (void)verifier_->RefuseUngranted(*admitted.identity, "nobody");
    const std::string log = log_.Take();
    EXPECT_NE(log.find("identity refused"), std::string::npos);
    return std::vector<std::string>(absl::StrSplit(log, "\"level\":\"warn")).size() - 1;
  };
  EXPECT_EQ(warnings(), 1u);
  EXPECT_EQ(warnings(), 0u);
  now_ += 60;
  EXPECT_EQ(warnings(), 1u);
}

TEST_F(IdentityVerifierTest, AnotherConfigurationKeepsWhatHoldsByIt) {
  const std::string token = key_.Sign(Claims());
  ASSERT_TRUE(VerifyCounting(token).ok());
  const uint64_t generation = verifier_->Generation();
  verifier_->SetTrust(Changed([](config::Issuer* issuer) {
    issuer->add_algorithms("RS256");
    issuer->clear_orgs();
  }));
  EXPECT_NE(verifier_->Generation(), generation);
  EXPECT_TRUE(VerifyAgain(HashOf(token)).ok());
  EXPECT_TRUE(VerifyCounting(token).ok());
  EXPECT_EQ(verified_, 1);
  EXPECT_TRUE(verifier_->MayEnter("cluster", "tools", "rival"));
  const std::pair<const char*, std::function<void(config::Issuer*)>> changes[] = {
      {"audience", [](config::Issuer* issuer) { issuer->set_audience(0, "other"); }},
      {"algorithm", [](config::Issuer* issuer) { issuer->clear_algorithms(), issuer->add_algorithms("RS256"); }},
      {"issuer", [](config::Issuer* issuer) { issuer->set_issuer("https://other"); }},
      {"name", [](config::Issuer* issuer) { issuer->set_name("other"); }},
      {"kind", [](config::Issuer* issuer) { issuer->set_kind("oidc"), issuer->add_orgs("acme"); }},
  };
  const IdentityTrust first = Changed([](config::Issuer*) {});
  for (const auto& [what, change] : changes) {
    verifier_->SetTrust(first);
    ASSERT_TRUE(VerifyCounting(token).ok()) << what;
    verifier_->SetTrust(Changed(change));
    EXPECT_TRUE(absl::IsNotFound(VerifyAgain(HashOf(token)).status())) << what;
    EXPECT_TRUE(absl::StrContains(what, "name") || ReasonOf(VerifyCounting(token).status()) == "IDENTITY_REFUSED")
        << what;
  }
}

TEST_F(IdentityVerifierTest, KeysOfWhoIsTrustedNoLongerAreReadNoMore) {
  // A call that goes on still has it.
  const std::shared_ptr<const IdentityTrust> before = verifier_->trust();
  verifier_->SetTrust(Changed([](config::Issuer* issuer) { issuer->add_audience("other"); }));
  now_ += 11;
  EXPECT_NE(source_->TryRead(), nullptr) << "the same keys are read on";
  verifier_->SetTrust(IdentityTrust());
  now_ += 11;
  EXPECT_EQ(before->issuers[0]->keys->TryRead(), nullptr);
}

TEST(IdentityTrustTest, WhoeverWaitsForKeysMayGiveUp) {
  FakeKeys keys("");
  keys.Block();
  KeptLog log;
  IdentityTrust trust;
  trust.issuers.push_back(std::make_shared<TrustedIssuer>());
  trust.issuers[0]->keys =
      std::make_shared<KeySource>("slow", keys.MakeReader(), absl::Now, &log, KeySource::Options());
  int asked = 0;
  const absl::Status status =
      trust.AwaitKeys(absl::InfiniteDuration(), IdentityTrust(), [&asked] { return ++asked == 2; });
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
}

TEST_F(IdentityVerifierTest, WhatIsRefusedIsForgottenWithTheConfiguration) {
  const std::string token = absl::StrReplaceAll(Claims(), {{R"(["keyferry"])", R"(["vault"])"}});
  const std::string signed_token = key_.Sign(token);
  EXPECT_FALSE(VerifyCounting(signed_token).ok());
  verifier_->SetTrust(Changed([](config::Issuer* issuer) { issuer->set_audience(0, "vault"); }));
  EXPECT_TRUE(VerifyCounting(signed_token).ok());
  grant_ = absl::UnauthenticatedError("not granted");
  const std::string other = key_.Sign(absl::StrReplaceAll(Claims("pod-1"), {{R"(["keyferry"])", R"(["vault"])"}}));
  EXPECT_FALSE(VerifyCounting(other).ok());
  verifier_->SetTrust(Changed([](config::Issuer* issuer) { issuer->set_audience(0, "keyferry"); }));
  grant_ = absl::OkStatus();
  EXPECT_EQ(ReasonOf(VerifyCounting(other).status()), "IDENTITY_REFUSED") << "it was verified for another audience";
}

TEST_F(IdentityVerifierTest, KeepsABoundedNumber) {
  std::vector<std::string> hashes;
  for (int i = 0; i < 50; ++i) {
    const std::string token = key_.Sign(Claims(absl::StrCat("pod-", i)));
    ASSERT_TRUE(Verify(token).ok());
    hashes.push_back(HashOf(token));
  }
  size_t kept = 0;
  for (const std::string& hash : hashes) kept += VerifyAgain(hash).ok() ? 1 : 0;
  EXPECT_GT(kept, 0u);
  EXPECT_LE(kept, 8u);
}

class ReviewedTest : public IdentityVerifierTest {
 protected:
  ReviewedTest() : IdentityVerifierTest(/*reviewed=*/true) {}
};

TEST_F(ReviewedTest, ATokenOfADeletedPodLosesItsAccess) {
  const std::string token = key_.Sign(Claims());
  ASSERT_TRUE(Verify(token).ok());
  EXPECT_EQ(reviewer_->reviews, 1);
  ASSERT_TRUE(Verify(token).ok());
  EXPECT_EQ(reviewer_->reviews, 1);
  reviewer_->answer = absl::PermissionDeniedError("gone");
  now_ += 11;
  EXPECT_EQ(ReasonOf(Verify(token).status()), "IDENTITY_REFUSED");
  EXPECT_NE(log_.Take().find("gone"), std::string::npos);
  EXPECT_EQ(reviewer_->reviews, 2);
  // A refusal is remembered too.
  EXPECT_EQ(ReasonOf(Verify(token).status()), "IDENTITY_REFUSED");
  EXPECT_EQ(ReasonOf(VerifyAgain(HashOf(token)).status()), "IDENTITY_REFUSED");
  EXPECT_EQ(reviewer_->reviews, 2);
}

TEST_F(ReviewedTest, AnAnswerIsRenewedInTheBackground) {
  const std::string token = key_.Sign(Claims());
  ASSERT_TRUE(Verify(token).ok());
  reviewer_->hold = true;
  now_ += 6;
  ASSERT_TRUE(Verify(token).ok());
  ASSERT_TRUE(Verify(token).ok());
  EXPECT_EQ(reviewer_->reviews, 2);
  reviewer_->held[0](absl::PermissionDeniedError("gone"));
  EXPECT_EQ(ReasonOf(Verify(token).status()), "IDENTITY_REFUSED");
}

TEST_F(ReviewedTest, AnotherConfigurationKeepsWhatReviewsHaveSaid) {
  const std::string token = key_.Sign(Claims());
  ASSERT_TRUE(Verify(token).ok());
  verifier_->SetTrust(Changed([](config::Issuer*) {}));
  EXPECT_TRUE(Verify(token).ok());
  EXPECT_EQ(reviewer_->reviews, 0) << "the answer is young";
  reviewer_->answer = absl::PermissionDeniedError("gone");
  now_ += 11;
  EXPECT_EQ(ReasonOf(Verify(token).status()), "IDENTITY_REFUSED");
  EXPECT_EQ(reviewer_->reviews, 1) << "the new reviewer is asked";
}

TEST_F(ReviewedTest, AReviewThatIsUnderWayOutlivesItsConfiguration) {
  const std::string token = key_.Sign(Claims());
  FakeReviewer* const first = reviewer_;
  first->hold = true;
  ExternalIdentities::Pending pending;
  EXPECT_EQ(ReasonOf(Verify(token, &pending).status()), "IDENTITY_UNAVAILABLE");
  ASSERT_NE(pending, nullptr);
  bool ended = false;
  pending([&ended] { ended = true; });
  verifier_->SetTrust(Changed([](config::Issuer*) {}));
  first->held[0](absl::OkStatus());
  EXPECT_TRUE(ended);
  EXPECT_TRUE(Verify(token).ok());
  EXPECT_EQ(reviewer_->reviews, 1);
}

TEST_F(ReviewedTest, WhatIsNotKnownIsNotAllowed) {
  const std::string token = key_.Sign(Claims());
  reviewer_->answer = absl::UnavailableError("down");
  EXPECT_EQ(ReasonOf(Verify(token).status()), "IDENTITY_UNAVAILABLE");
  // The API server is not asked by each call while it is down.
  EXPECT_EQ(ReasonOf(Verify(token).status()), "IDENTITY_UNAVAILABLE");
  EXPECT_EQ(reviewer_->reviews, 1);
  now_ += 1;
  reviewer_->hold = true;
  ExternalIdentities::Pending pending;
  EXPECT_EQ(ReasonOf(Verify(token, &pending).status()), "IDENTITY_UNAVAILABLE");
  ASSERT_NE(pending, nullptr);
  bool ended = false;
  pending([&ended] { ended = true; });
  EXPECT_FALSE(ended);
  reviewer_->held[0](absl::OkStatus());
  EXPECT_TRUE(ended);
  EXPECT_TRUE(Verify(token).ok());
}

TEST_F(ReviewedTest, AStreamOutlivesAnAnswerByOneMinuteAtMost) {
  const std::string token = key_.Sign(Claims());
  ASSERT_TRUE(Verify(token).ok());
  reviewer_->answer = absl::UnavailableError("down");
  now_ += 60;
  EXPECT_TRUE(VerifyAgain(HashOf(token)).ok());
  now_ += 1;
  EXPECT_EQ(ReasonOf(VerifyAgain(HashOf(token)).status()), "IDENTITY_UNAVAILABLE");
}

TEST_F(ReviewedTest, AStreamIsOpenedByAnAnswerOfTheLastMinuteAndRenewsIt) {
  const std::string token = key_.Sign(Claims());
  reviewer_->hold = true;
  EXPECT_EQ(ReasonOf(VerifyStream(token).status()), "IDENTITY_UNAVAILABLE") << "the first answer is awaited";
  reviewer_->held[0](absl::OkStatus());
  now_ += 60;
  EXPECT_EQ(ReasonOf(Verify(token).status()), "IDENTITY_UNAVAILABLE");
  EXPECT_TRUE(VerifyStream(token).ok());
  EXPECT_EQ(reviewer_->reviews, 2);
  now_ += 1;
  EXPECT_EQ(ReasonOf(VerifyStream(token).status()), "IDENTITY_UNAVAILABLE");
  reviewer_->held[1](absl::PermissionDeniedError("gone"));
  EXPECT_EQ(ReasonOf(VerifyStream(token).status()), "IDENTITY_REFUSED");
}

TEST_F(ReviewedTest, WhatIsNotGrantedIsNotReviewed) {
  const std::string token = key_.Sign(Claims());
  grant_ = absl::UnauthenticatedError("not granted");
  EXPECT_EQ(Verify(token).status(), grant_);
  EXPECT_EQ(reviewer_->reviews, 0);
  grant_ = absl::OkStatus();
  ASSERT_TRUE(Verify(token).ok());
  grant_ = absl::UnauthenticatedError("revoked");
  now_ += 6;
  EXPECT_EQ(Verify(token).status(), grant_);
  EXPECT_EQ(VerifyAgain(HashOf(token)).status(), grant_);
  EXPECT_EQ(reviewer_->reviews, 1);
}

TEST_F(ReviewedTest, FirstCallsAtOnceShareOneReview) {
  const std::string token = key_.Sign(Claims());
  reviewer_->hold = true;
  // The second call comes while the first has verified the token and not kept it yet.
  bool nested = false;
  ExternalIdentities::Question question;
  question.granted = [&](const ExternalIdentity&) {
    if (!std::exchange(nested, true)) {
      EXPECT_EQ(ReasonOf(Verify(token).status()), "IDENTITY_UNAVAILABLE");
    }
    return absl::OkStatus();
  };
  EXPECT_EQ(ReasonOf(verifier_->VerifyToken(token, HashOf(token), question).status()), "IDENTITY_UNAVAILABLE");
  EXPECT_EQ(reviewer_->reviews, 1);
  reviewer_->held[0](absl::OkStatus());
  EXPECT_TRUE(Verify(token).ok());
}

TEST_F(ReviewedTest, AClockThatIsSetBackMakesNoAnswerYoung) {
  const std::string token = key_.Sign(Claims());
  ASSERT_TRUE(Verify(token).ok());
  reviewer_->answer = absl::UnavailableError("down");
  // Keys of their own age, so that only the review's counts.
  now_ -= 5;
  keys_.Set(TestJwks(key_.Jwk()));
  AwaitRead(source_);
  EXPECT_EQ(ReasonOf(Verify(token).status()), "IDENTITY_UNAVAILABLE");
  EXPECT_EQ(ReasonOf(VerifyAgain(HashOf(token)).status()), "IDENTITY_UNAVAILABLE");
  EXPECT_EQ(reviewer_->reviews, 2);
}

}  // namespace
}  // namespace keyferry::server
