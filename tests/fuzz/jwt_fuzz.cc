// The token of an external issuer that an attacker presents: no key that did not sign it verifies it, claims that pass
// say what was asked for, and a person is one whom the issuer's configuration lets in.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/identity/external/person_identity.h"
#include "server/identity/jwt/jwt.h"
#include "server/names.h"

namespace {

using namespace keyferry::server;

keyferry::config::Issuer* MakeIssuer() {
  auto* const issuer = new keyferry::config::Issuer();
  issuer->set_name("corp");
  issuer->set_issuer("joe");
  issuer->add_audience("keyferry");
  issuer->add_orgs("acme");
  issuer->add_orgs("rival");
  keyferry::config::People& people = *issuer->mutable_people();
  people.set_org_claim("org");
  people.set_user_claim("email");
  people.set_email_domain("example.com");
  people.set_role_claim("groups");
  people.add_roles()->set_value("staff");
  people.mutable_roles(0)->set_role("member");
  people.set_teams_claim("groups");
  people.add_teams()->set_value("leads");
  people.mutable_teams(0)->set_team("eng");
  people.mutable_teams(0)->set_role("owner");
  people.set_max_age_seconds(86400);
  return issuer;
}

void ReadPerson(const Jws& jws, const VerifiedClaims& claims, absl::Time now) {
  static const auto* const issuer = MakeIssuer();
  const auto token = ReadIdToken(jws, claims, *issuer, now);
  if (!token.ok()) return;
  const PersonClaims& person = *token->identity.person;
  if (!CheckId(person.user, "user").ok() || (person.org != "acme" && person.org != "rival")) std::abort();
  if (person.role != keyferry::v1::ORG_ROLE_MEMBER || token->expire_time > claims.expire_time) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto* const keys = new std::unique_ptr<const JwkSet>(
      *JwkSet::Parse(R"({"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},)"
                     R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",)"
                     R"("y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]})"));
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  const auto jws = ParseJws(text);
  if (jws.ok()) {
    if (!LooksLikeJwt(text)) std::abort();
    // The signature is the last part; whoever changes what is signed cannot make one.
    const auto key = VerifyJws(*jws, {JwtAlgorithm::kEdDsa, JwtAlgorithm::kEs256}, **keys);
    if (key.ok() && jws->payload != "Example of Ed25519 signing" && jws->payload.find("joe") == std::string::npos) {
      std::abort();
    }
    (void)UnverifiedIssuer(*jws);
  }
  const std::string payload = jws.ok() ? jws->payload : std::string(text);
  const absl::Time now = absl::FromUnixSeconds(1300819300);
  const auto claims = CheckClaims(payload, {"joe", {"keyferry"}}, now);
  if (claims.ok() && (claims->subject.empty() || claims->expire_time < absl::FromUnixSeconds(1300819240))) std::abort();
  static const auto* const without_header = new Jws();
  if (claims.ok()) ReadPerson(jws.ok() ? *jws : *without_header, *claims, now);
  return 0;
}
