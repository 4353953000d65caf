#include "server/oauth/protocol/grant_assertion.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "server/errors.h"
#include "server/oauth/protocol/encoding.h"
#include "server/oauth/protocol/jws.h"
#include "server/oauth/protocol/url_template.h"
#include "server/status_macros.h"
#include "storage/crypto/sha256.h"

namespace keyferry::server {
namespace {

constexpr absl::Duration kDefaultLifetime = absl::Minutes(5);
constexpr absl::Duration kMinLifetime = absl::Minutes(1);
constexpr absl::Duration kMaxLifetime = absl::Hours(1);
constexpr size_t kIdBytes = 16;
constexpr char kDsig[] = "http://www.w3.org/2000/09/xmldsig#";

absl::StatusOr<std::unique_ptr<const storage::SigningKey>> LoadKey(const ProviderDefinition& definition) {
  auto key = storage::SigningKey::FromPkcs8(definition.signing_key.Expose());
  if (key.ok()) return key;
  return InvalidField("grant_type", "needs a signing key, and there is none",
                      "Create the provider anew, so that Keyferry makes one.");
}

absl::Duration LifetimeOf(const v1::OauthAssertion& assertion) {
  if (!assertion.has_lifetime()) return kDefaultLifetime;
  const absl::Duration asked =
      absl::Seconds(assertion.lifetime().seconds()) + absl::Nanoseconds(assertion.lifetime().nanos());
  return std::min(std::max(asked, kMinLifetime), kMaxLifetime);
}

JwtClaims ClaimsOf(const v1::OauthProvider& provider, const UrlVariables& variables, absl::string_view token_url,
                   absl::Time now) {
  const v1::OauthAssertion& assertion = provider.assertion();
  const auto value = [&variables](const std::string& own, absl::string_view usual) {
    return own.empty() ? std::string(usual) : ExpandText(own, variables);
  };
  JwtClaims claims;
  claims.issuer = value(assertion.issuer(), provider.client().client_id());
  claims.subject = value(assertion.subject(), provider.client().client_id());
  claims.audience = value(assertion.audience(), token_url);
  claims.issued_at = now;
  claims.expires_at = now + LifetimeOf(assertion);
  claims.id = Base64Url(storage::RandomString(kIdBytes));
  for (const v1::OauthParameter& claim : assertion.claims()) {
    claims.others.Add(claim.name(), ExpandText(claim.value(), variables));
  }
  return claims;
}

// Characters of XML 1.0, section 2.2, less carriage returns, which canonical form would write in another way.
bool IsXmlText(absl::string_view text) {
  return IsUtf8(text) &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\t'; }) &&
         text.find("\xEF\xBF\xBE") == absl::string_view::npos && text.find("\xEF\xBF\xBF") == absl::string_view::npos;
}

// As canonical form writes text and attributes (Canonical XML 1.0, section 2.3).
std::string XmlText(absl::string_view text) {
  return absl::StrReplaceAll(text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}});
}
std::string XmlAttribute(absl::string_view text) {
  return absl::StrReplaceAll(text, {{"&", "&amp;"}, {"<", "&lt;"}, {"\"", "&quot;"}, {"\t", "&#x9;"}, {"\n", "&#xA;"}});
}

std::string XmlTime(absl::Time time) { return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone()); }

std::string Attributes(const ParameterList& attributes) {
  if (attributes.empty()) return "";
  std::string out = "<saml2:AttributeStatement>";
  for (const Parameter& attribute : attributes.all()) {
    absl::StrAppend(&out, "<saml2:Attribute Name=\"", XmlAttribute(attribute.name), "\"><saml2:AttributeValue>",
                    XmlText(attribute.value), "</saml2:AttributeValue></saml2:Attribute>");
  }
  return absl::StrCat(out, "</saml2:AttributeStatement>");
}

// The assertion without its signature, in the two halves between which that stands: the issuer comes first (SAML 2.0
// core, section 2.3.3). Attributes are in the order of canonical form.
std::pair<std::string, std::string> Halves(const JwtClaims& claims, absl::string_view id) {
  const std::string issued = XmlTime(claims.issued_at), expires = XmlTime(claims.expires_at);
  std::string head = absl::StrCat("<saml2:Assertion xmlns:saml2=\"urn:oasis:names:tc:SAML:2.0:assertion\" ID=\"", id,
                                  "\" IssueInstant=\"", issued, "\" Version=\"2.0\"><saml2:Issuer>",
                                  XmlText(claims.issuer), "</saml2:Issuer>");
  std::string tail = absl::StrCat(
      "<saml2:Subject><saml2:NameID>", XmlText(claims.subject),
      "</saml2:NameID><saml2:SubjectConfirmation Method=\"urn:oasis:names:tc:SAML:2.0:cm:bearer\">"
      "<saml2:SubjectConfirmationData NotOnOrAfter=\"",
      expires, "\" Recipient=\"", XmlAttribute(claims.audience),
      "\"></saml2:SubjectConfirmationData></saml2:SubjectConfirmation></saml2:Subject><saml2:Conditions NotBefore=\"",
      issued, "\" NotOnOrAfter=\"", expires, "\"><saml2:AudienceRestriction><saml2:Audience>", XmlText(claims.audience),
      "</saml2:Audience></saml2:AudienceRestriction></saml2:Conditions>", "<saml2:AuthnStatement AuthnInstant=\"",
      issued,
      "\"><saml2:AuthnContext><saml2:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:X509"
      "</saml2:AuthnContextClassRef></saml2:AuthnContext></saml2:AuthnStatement>",
      Attributes(claims.others), "</saml2:Assertion>");
  return {std::move(head), std::move(tail)};
}

std::string SignedInfo(absl::string_view id, absl::string_view assertion) {
  // Canonicalized on its own, the element declares the prefix that it uses; inside the signature it inherits it.
  return absl::StrCat(
      "<ds:SignedInfo xmlns:ds=\"", kDsig,
      "\"><ds:CanonicalizationMethod Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"></ds:CanonicalizationMethod>"
      "<ds:SignatureMethod Algorithm=\"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256\"></ds:SignatureMethod>"
      "<ds:Reference URI=\"#",
      id,
      "\"><ds:Transforms><ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\">"
      "</ds:Transform><ds:Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"></ds:Transform>"
      "</ds:Transforms><ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"></ds:DigestMethod>"
      "<ds:DigestValue>",
      Base64(storage::View(storage::Sha256({assertion}))), "</ds:DigestValue></ds:Reference></ds:SignedInfo>");
}

std::string KeyInfo(const storage::PublicKeyNumbers& key) {
  return absl::StrCat("<ds:KeyInfo><ds:KeyValue><ds:RSAKeyValue><ds:Modulus>", Base64(key.n),
                      "</ds:Modulus><ds:Exponent>", Base64(key.e),
                      "</ds:Exponent></ds:RSAKeyValue></ds:KeyValue></ds:KeyInfo>");
}

}  // namespace

absl::StatusOr<std::string> JwtGrantAssertion(const ProviderDefinition& provider, const UrlVariables& variables,
                                              absl::string_view token_url, absl::Time now) {
  ASSIGN_OR_RETURN(const auto key, LoadKey(provider));
  const JwtClaims claims = ClaimsOf(provider.provider, variables, token_url, now);
  return SignJwt(*key, provider.provider.client().signing_algorithm(), provider.provider.assertion().key_id(), claims);
}

absl::StatusOr<std::string> SamlGrantAssertion(const ProviderDefinition& provider, const UrlVariables& variables,
                                               absl::string_view token_url, absl::Time now) {
  ASSIGN_OR_RETURN(const auto key, LoadKey(provider));
  const JwtClaims claims = ClaimsOf(provider.provider, variables, token_url, now);
  bool writable = IsXmlText(claims.issuer) && IsXmlText(claims.subject) && IsXmlText(claims.audience);
  for (const Parameter& claim : claims.others.all()) {
    writable = writable && IsXmlText(claim.name) && IsXmlText(claim.value);
  }
  if (!writable) {
    return InvalidField("assertion", "holds a character that XML cannot", "Correct the provider's definition.");
  }
  // An NCName begins with no digit.
  const std::string id = absl::StrCat("_", absl::BytesToHexString(storage::RandomString(kIdBytes)));
  const auto [head, tail] = Halves(claims, id);
  const std::string info = SignedInfo(id, absl::StrCat(head, tail));
  ASSIGN_OR_RETURN(const std::string signature, key->Sign(storage::SignatureAlgorithm::kRs256, info));
  const std::string inherited = absl::StrReplaceAll(info, {{absl::StrCat(" xmlns:ds=\"", kDsig, "\""), ""}});
  return Base64Url(absl::StrCat(head, "<ds:Signature xmlns:ds=\"", kDsig, "\">", inherited, "<ds:SignatureValue>",
                                Base64(signature), "</ds:SignatureValue>", KeyInfo(key->public_numbers()),
                                "</ds:Signature>", tail));
}

}  // namespace keyferry::server
