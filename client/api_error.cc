#include "client/api_error.h"

#include <grpcpp/support/status.h>

#include <cstdint>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "google/protobuf/any.pb.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/wire_format_lite.h"
#include "keyferry/v1/errors.pb.h"

namespace keyferry::client {
namespace {

using google::protobuf::internal::WireFormatLite;

// google.rpc.Status.details
constexpr int kDetailsField = 3;

// Finds the ErrorDetail among the details of a serialized google.rpc.Status, whose own generated code is not needed for
// this one field.
bool FindDetail(absl::string_view trailer, v1::ErrorDetail* detail) {
  google::protobuf::io::CodedInputStream input(reinterpret_cast<const uint8_t*>(trailer.data()),
                                               static_cast<int>(trailer.size()));
  while (const uint32_t tag = input.ReadTag()) {
    if (tag != WireFormatLite::MakeTag(kDetailsField, WireFormatLite::WIRETYPE_LENGTH_DELIMITED)) {
      if (!WireFormatLite::SkipField(&input, tag)) return false;
      continue;
    }
    uint32_t size = 0;
    std::string bytes;
    google::protobuf::Any any;
    if (!input.ReadVarint32(&size) || !input.ReadString(&bytes, static_cast<int>(size))) return false;
    if (any.ParseFromString(bytes) && any.UnpackTo(detail)) return true;
  }
  return false;
}

// One line of text: what a server sends must not move the cursor of a terminal or fake a second line.
std::string Printable(absl::string_view text) {
  std::string line(absl::StripAsciiWhitespace(text));
  for (char& c : line) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) c = ' ';
  }
  return line;
}

}  // namespace

std::string ApiError::OneLine() const {
  std::string what = Printable(message);
  while (!what.empty() && what.back() == '.') what.pop_back();
  if (what.empty()) what = absl::StatusCodeToString(code);
  std::string line = what;
  // The server's own words often name the resource already.
  if (!resource.empty() && what.find(resource) == std::string::npos) absl::StrAppend(&line, ": ", Printable(resource));
  if (!field.empty() && what.find(field) == std::string::npos) absl::StrAppend(&line, ": ", Printable(field));
  for (const MissingVariable& missing : missing_variables) {
    absl::StrAppend(&line, &missing == &missing_variables[0] ? ": " : ", ", Printable(missing.variable));
    std::string hint = Printable(missing.next_step);
    // The server's own words may name it already.
    if (!missing.connect_url.empty() && hint.find(missing.connect_url) == std::string::npos) {
      while (!hint.empty() && hint.back() == '.') hint.pop_back();
      absl::StrAppend(&hint, hint.empty() ? "connect at " : "; connect at ", Printable(missing.connect_url));
    }
    if (!hint.empty()) absl::StrAppend(&line, " (", hint, ")");
  }
  if (!next_step.empty()) absl::StrAppend(&line, "; ", Printable(next_step));
  return line;
}

ApiError DecodeApiError(const grpc::Status& status) {
  return DecodeApiError(static_cast<absl::StatusCode>(status.error_code()), status.error_message(),
                        status.error_details());
}

ApiError DecodeApiError(absl::StatusCode code, absl::string_view message, absl::string_view trailer) {
  v1::ErrorDetail detail;
  const bool found = FindDetail(trailer, &detail);
  ApiError error = found ? DecodeApiError(code, detail) : ApiError();
  error.code = code;
  error.message = std::string(message);
  return error;
}

ApiError DecodeApiError(absl::StatusCode code, const v1::ErrorDetail& detail) {
  ApiError error;
  error.code = code;
  error.message = absl::StrReplaceAll(absl::AsciiStrToLower(detail.reason()), {{"_", " "}});
  error.reason = detail.reason();
  error.resource = detail.resource();
  error.field = detail.field();
  error.next_step = detail.next_step();
  for (const v1::MissingVariable& missing : detail.missing_variables()) {
    error.missing_variables.push_back({missing.variable(),
                                       {missing.tried().begin(), missing.tried().end()},
                                       missing.next_step(),
                                       missing.connect_url()});
  }
  error.retry_delay = absl::Milliseconds(detail.retry_delay_ms());
  return error;
}

}  // namespace keyferry::client
