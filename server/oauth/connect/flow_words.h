#ifndef KEYFERRY_SERVER_OAUTH_CONNECT_FLOW_WORDS_H_
#define KEYFERRY_SERVER_OAUTH_CONNECT_FLOW_WORDS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace keyferry::server {

// What happened, and that another attempt is needed.
inline std::string ThenAgain(absl::string_view what) {
  return absl::StrCat(what, " Start the connection again, e.g. with `keyferry connect`.");
}

// "no code" -> "No code.": messages of the protocol stand within sentences.
inline std::string AsSentence(absl::string_view text) {
  std::string sentence(text);
  if (sentence.empty()) return sentence;
  sentence[0] = absl::ascii_toupper(static_cast<unsigned char>(sentence[0]));
  if (sentence.back() != '.') sentence.push_back('.');
  return sentence;
}

// The store's own words are for operators.
inline absl::Status StoreFailedForPerson() {
  return absl::UnavailableError(ThenAgain("Keyferry could not read or write its store."));
}

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_CONNECT_FLOW_WORDS_H_
