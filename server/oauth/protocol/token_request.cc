#include "server/oauth/protocol/token_request.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "server/errors.h"
#include "server/oauth/protocol/encoding.h"
#include "server/oauth/protocol/url_template.h"
#include "storage/crypto/secret_bytes.h"

namespace keyferry::server {
namespace {

bool IsHeaderName(absl::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(c) || absl::string_view("!#$%&'*+-.^_`|~").find(c) != absl::string_view::npos;
  });
}

void SetHeader(HttpHeaders* headers, absl::string_view name, absl::string_view value) {
  for (auto& [other, old] : *headers) {
    if (!absl::EqualsIgnoreCase(other, name)) continue;
    storage::WipeString(old);
    old = std::string(value);
    return;
  }
  headers->emplace_back(std::string(name), std::string(value));
}

std::string JsonBody(const ParameterList& parameters) {
  nlohmann::ordered_json body = nlohmann::ordered_json::object();
  for (const Parameter& parameter : parameters.all()) {
    auto& member = body[parameter.name];
    if (member.is_null()) {
      member = parameter.value;
    } else if (member.is_array()) {
      member.push_back(parameter.value);
    } else {
      member = nlohmann::ordered_json::array({member, parameter.value});
    }
  }
  std::string text = body.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  for (auto& member : body) {
    if (member.is_string()) storage::WipeString(member.get_ref<std::string&>());
  }
  return text;
}

}  // namespace

TokenRequest::~TokenRequest() {
  storage::WipeString(url);
  for (auto& [name, value] : headers) storage::WipeString(value);
}

absl::Status AddOwn(const OauthParameters& parameters, const OauthParameters& headers, const UrlVariables& values,
                    TokenRequest* request) {
  for (const v1::OauthParameter& parameter : parameters) {
    std::string value = ExpandText(parameter.value(), values);
    request->own_parameters.Add(parameter.name(), value);
    storage::WipeString(value);
  }
  for (const v1::OauthParameter& header : headers) {
    std::string value = ExpandText(header.value(), values);
    const bool sendable = IsHeaderName(header.name()) && std::none_of(value.begin(), value.end(), absl::ascii_iscntrl);
    if (sendable) SetHeader(&request->headers, header.name(), value);
    storage::WipeString(value);
    if (!sendable) {
      return InvalidField("token.headers", absl::StrCat("`", Printable(header.name(), 64), "` cannot be sent"),
                          "Correct the provider's definition.");
    }
  }
  return absl::OkStatus();
}

void RenameParameters(const OauthParameters& renamed, ParameterList* parameters) {
  for (const v1::OauthParameter& one : renamed) parameters->Rename(one.name(), one.value());
}

HttpRequest BuildRequest(TokenRequest request, v1::OauthResponseFormat expected) {
  for (const Parameter& own : request.own_parameters.all()) request.parameters.Remove(own.name);
  for (const Parameter& own : request.own_parameters.all()) request.parameters.Add(own.name, own.value);

  HttpRequest out;
  out.method = request.format == v1::OAUTH_REQUEST_FORMAT_GET ? "GET" : "POST";
  out.url = request.url;
  out.identity = request.identity;
  out.headers = {{"Accept", expected == v1::OAUTH_RESPONSE_FORMAT_FORM ? "application/x-www-form-urlencoded"
                                                                       : "application/json"}};
  switch (request.format) {
    case v1::OAUTH_REQUEST_FORMAT_JSON:
      out.headers.emplace_back("Content-Type", "application/json");
      out.body = JsonBody(request.parameters);
      break;
    case v1::OAUTH_REQUEST_FORMAT_GET:
    case v1::OAUTH_REQUEST_FORMAT_QUERY:
      if (!request.parameters.empty()) {
        absl::StrAppend(&out.url, absl::StrContains(out.url, '?') ? "&" : "?", UriText(request.parameters));
      }
      break;
    default:
      out.headers.emplace_back("Content-Type", "application/x-www-form-urlencoded");
      out.body = FormText(request.parameters);
  }
  for (const auto& [name, value] : request.headers) SetHeader(&out.headers, name, value);
  return out;
}

}  // namespace keyferry::server
