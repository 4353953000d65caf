#include "server/oauth/protocol/mock_client_check.h"

#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "nlohmann/json.hpp"
#include "server/oauth/protocol/encoding.h"
#include "storage/crypto/sha256.h"
#include "storage/crypto/signing_key.h"

namespace keyferry::server {
namespace {

using Json = nlohmann::json;

absl::Status Refused(absl::string_view problem) { return absl::UnauthenticatedError(problem); }

std::string Unescape(absl::string_view base64url) {
  std::string bytes;
  if (!absl::WebSafeBase64Unescape(base64url, &bytes)) bytes.clear();
  return bytes;
}

std::string Text(const Json& object, const std::string& name) {
  return object.is_object() && object.contains(name) && object[name].is_string() ? object[name].get<std::string>() : "";
}

int64_t Number(const Json& object, const std::string& name) {
  return object.is_object() && object.contains(name) && object[name].is_number_integer() ? object[name].get<int64_t>()
                                                                                         : -1;
}

bool RegisteredKey(const MockClient& client, const std::string& kid, storage::PublicKeyNumbers* key) {
  const Json jwks = Json::parse(client.jwks, nullptr, false);
  if (!jwks.is_object() || !jwks.contains("keys")) return false;
  for (const Json& candidate : jwks["keys"]) {
    if (!kid.empty() && Text(candidate, "kid") != kid) continue;
    if (Text(candidate, "use") != "sig" || candidate.contains("d")) return false;
    *key = {Unescape(Text(candidate, "n")), Unescape(Text(candidate, "e")), Unescape(Text(candidate, "x")),
            Unescape(Text(candidate, "y"))};
    return true;
  }
  return false;
}

storage::SignatureAlgorithm AlgorithmOf(const std::string& name) {
  return name == "ES256"   ? storage::SignatureAlgorithm::kEs256
         : name == "PS256" ? storage::SignatureAlgorithm::kPs256
                           : storage::SignatureAlgorithm::kRs256;
}

absl::Status CheckBasic(const MockClient& client, absl::string_view header) {
  std::string decoded;
  if (!absl::ConsumePrefix(&header, "Basic ") || !absl::Base64Unescape(header, &decoded)) {
    return Refused("no HTTP Basic");
  }
  const std::vector<std::string> parts = absl::StrSplit(decoded, absl::MaxSplits(':', 1));
  if (parts.size() != 2) return Refused("HTTP Basic without a colon");
  std::string user = parts[0], password = parts[1];
  switch (client.authentication) {
    case v1::OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_BASIC:
      if (!FormUnescape(parts[0], &user) || !FormUnescape(parts[1], &password)) return Refused("not form-encoded");
      break;
    case v1::OAUTH_CLIENT_AUTHENTICATION_SECRET_AS_BASIC_USER:
      return user == client.secret && password.empty() ? absl::OkStatus() : Refused("wrong secret");
    default:
      break;
  }
  return user == client.id && password == client.secret ? absl::OkStatus() : Refused("wrong id or secret");
}

// The text between two marks, both included; "" if it is not there exactly once.
std::string Element(const std::string& xml, const std::string& begin, const std::string& end) {
  const size_t from = xml.find(begin), to = xml.find(end);
  if (from == std::string::npos || to == std::string::npos || to < from) return "";
  if (xml.find(begin, from + 1) != std::string::npos) return "";
  return xml.substr(from, to + end.size() - from);
}

std::string Content(const std::string& xml, const std::string& begin, const std::string& end) {
  const std::string element = Element(xml, begin, end);
  return element.empty() ? "" : element.substr(begin.size(), element.size() - begin.size() - end.size());
}

std::string Attribute(const std::string& xml, const std::string& name) {
  const size_t at = xml.find(absl::StrCat(" ", name, "=\""));
  if (at == std::string::npos) return "";
  const size_t from = at + name.size() + 3;
  return xml.substr(from, xml.find('"', from) - from);
}

}  // namespace

absl::Status CheckMockClient(const MockClient& client, const HttpRequest& request, const ParameterList& parameters,
                             const std::string& audience, absl::Time now, std::set<std::string>* seen) {
  absl::string_view authorization;
  for (const auto& [name, value] : request.headers) {
    if (absl::EqualsIgnoreCase(name, "authorization")) authorization = value;
  }
  switch (client.authentication) {
    case v1::OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_BASIC:
    case v1::OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_BASIC_RAW:
    case v1::OAUTH_CLIENT_AUTHENTICATION_SECRET_AS_BASIC_USER:
      if (parameters.Has("client_secret")) return Refused("two methods at once");
      return CheckBasic(client, authorization);
    default:
      break;
  }
  if (!authorization.empty()) return Refused("two methods at once");
  if (parameters.Get("client_id") != client.id) return Refused("wrong client id");
  switch (client.authentication) {
    case v1::OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_POST:
      return parameters.Get("client_secret") == client.secret ? absl::OkStatus() : Refused("wrong secret");
    case v1::OAUTH_CLIENT_AUTHENTICATION_PRIVATE_KEY_JWT: {
      if (parameters.Has("client_secret")) return Refused("two methods at once");
      if (parameters.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer") {
        return Refused("wrong client_assertion_type");
      }
      ParameterList claims;
      const absl::Status valid =
          CheckMockJwt(client, std::string(parameters.Get("client_assertion")), audience, now, seen, &claims);
      if (!valid.ok()) return valid;
      return claims.Get("iss") == client.id && claims.Get("sub") == client.id ? absl::OkStatus()
                                                                              : Refused("wrong iss or sub");
    }
    case v1::OAUTH_CLIENT_AUTHENTICATION_TLS_CLIENT_AUTH:
      return request.identity != nullptr && request.identity->certificate == client.certificate
                 ? absl::OkStatus()
                 : Refused("no or another client certificate");
    default:
      return parameters.Has("client_secret") ? Refused("a public client sent a secret") : absl::OkStatus();
  }
}

absl::Status CheckMockJwt(const MockClient& client, const std::string& jwt, const std::string& audience, absl::Time now,
                          std::set<std::string>* seen, ParameterList* claims) {
  const std::vector<std::string> parts = absl::StrSplit(jwt, '.');
  if (parts.size() != 3) return Refused("no JWT");
  const Json header = Json::parse(Unescape(parts[0]), nullptr, false);
  const Json body = Json::parse(Unescape(parts[1]), nullptr, false);
  if (!header.is_object() || !body.is_object()) return Refused("the JWT holds no JSON");
  storage::PublicKeyNumbers key;
  if (Text(header, "alg") != client.algorithm) return Refused("wrong algorithm");
  if (!RegisteredKey(client, Text(header, "kid"), &key)) return Refused("no such key");
  if (!storage::VerifySignature(key, AlgorithmOf(client.algorithm), absl::StrCat(parts[0], ".", parts[1]),
                                Unescape(parts[2]))) {
    return Refused("wrong signature");
  }
  if (Text(body, "aud") != audience) return Refused(absl::StrCat("wrong aud, not ", audience));
  const int64_t at = absl::ToUnixSeconds(now);
  if (Number(body, "exp") <= at || Number(body, "exp") > at + 3600) return Refused("expired, or lives too long");
  if (Number(body, "iat") > at) return Refused("issued in the future");
  if (Text(body, "jti").empty() || !seen->insert(Text(body, "jti")).second) return Refused("jti missing or seen");
  if (claims != nullptr) {
    for (const auto& [name, value] : body.items()) {
      if (value.is_string()) claims->Add(name, value.get<std::string>());
    }
  }
  return absl::OkStatus();
}

absl::Status CheckMockSaml(const MockClient& client, const std::string& assertion, const std::string& audience,
                           absl::Time now, std::set<std::string>* seen) {
  std::string xml;
  if (!absl::WebSafeBase64Unescape(assertion, &xml)) return Refused("no base64url");
  const std::string signature = Element(xml, "<ds:Signature ", "</ds:Signature>");
  if (signature.empty()) return Refused("no signature, or two");
  // Enveloped-signature transform, then exclusive canonicalization, which leaves canonical text as it is.
  const std::string digested = absl::StrReplaceAll(xml, {{signature, ""}});
  if (Content(xml, "<ds:DigestValue>", "</ds:DigestValue>") != Base64(storage::View(storage::Sha256({digested})))) {
    return Refused("wrong digest");
  }
  // Canonicalized by itself, SignedInfo declares the namespace that it uses.
  const std::string signed_info =
      absl::StrReplaceAll(Element(xml, "<ds:SignedInfo>", "</ds:SignedInfo>"),
                          {{"<ds:SignedInfo>", "<ds:SignedInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\">"}});
  std::string bytes;
  storage::PublicKeyNumbers key;
  if (!absl::Base64Unescape(Content(xml, "<ds:SignatureValue>", "</ds:SignatureValue>"), &bytes) ||
      !RegisteredKey(client, "", &key) ||
      !storage::VerifySignature(key, storage::SignatureAlgorithm::kRs256, signed_info, bytes)) {
    return Refused("wrong signature");
  }
  const std::string id = Attribute(xml, "ID");
  if (signed_info.find(absl::StrCat("<ds:Reference URI=\"#", id, "\">")) == std::string::npos) {
    return Refused("the signature is of something else");
  }
  if (Content(xml, "<saml2:Audience>", "</saml2:Audience>") != audience) return Refused("wrong audience");
  absl::Time not_on_or_after;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, Attribute(xml, "NotOnOrAfter"), &not_on_or_after, &error) ||
      not_on_or_after <= now) {
    return Refused("expired");
  }
  if (xml.find("urn:oasis:names:tc:SAML:2.0:cm:bearer") == std::string::npos) return Refused("no bearer confirmation");
  return seen->insert(id).second ? absl::OkStatus() : Refused("seen before");
}

}  // namespace keyferry::server
