#ifndef KEYFERRY_SERVER_OAUTH_CONNECT_PAGES_H_
#define KEYFERRY_SERVER_OAUTH_CONNECT_PAGES_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "server/http/http_client.h"

namespace keyferry::server {

// Text as HTML shows it, in elements and in quoted attributes: the five characters with a meaning are replaced, what is
// no UTF-8 or a control character becomes `?`.
std::string EscapeHtml(absl::string_view text);

// A plain page: one heading, then paragraphs, facts and at most one form, in the order in which they are added. Without
// scripts and without anything from elsewhere. All text is escaped, and kept from changing the direction of what stands
// around it.
class Page {
 public:
  explicit Page(absl::string_view title) : title_(title) {}

  Page& Text(absl::string_view text);
  // What the person must not overlook.
  Page& Warning(absl::string_view text);
  // Something to type or to compare.
  Page& Code(absl::string_view text);
  // A list of names and values.
  Page& Facts(const std::vector<std::pair<std::string, std::string>>& facts);
  // A button that posts hidden fields to `action`, a path of ours.
  Page& Form(absl::string_view action, const std::vector<std::pair<std::string, std::string>>& hidden,
             absl::string_view button);

  std::string Build() const;

 private:
  const std::string title_;
  std::string body_;
};

// An answer with the page. Sets the headers of security that are not the same for all answers of the listener.
HttpResponse PageResponse(int status, const Page& page);

// An answer that sends the browser on to `url` with GET (RFC 9110, section 15.4.4).
HttpResponse SeeOther(std::string url);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_CONNECT_PAGES_H_
