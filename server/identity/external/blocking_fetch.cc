#include "server/identity/external/blocking_fetch.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "server/files.h"
#include "server/http/beast_client.h"
#include "server/http/http_client.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(10);
constexpr size_t kMaxBody = 256 << 10;

}  // namespace

absl::StatusOr<std::string> ReadBearerToken(const std::string& path) {
  ASSIGN_OR_RETURN(const storage::SecretBytes content, ReadSmallFile(path));
  const absl::string_view token = absl::StripAsciiWhitespace(content.Expose());
  if (token.empty() || !std::all_of(token.begin(), token.end(), [](unsigned char c) { return c > ' ' && c < 0x7F; })) {
    return absl::InvalidArgumentError(absl::StrCat("`", path, "` holds no bearer token"));
  }
  return std::string(token);
}

absl::StatusOr<std::string> BlockingFetch::Get(const std::string& url, const std::string& ca_file,
                                               const std::string& bearer_token_file, const AddressGuard& guard) {
  HttpRequest request;
  request.url = url;
  request.headers = {{"Accept", "application/json"}};
  if (!bearer_token_file.empty()) {
    ASSIGN_OR_RETURN(std::string token, ReadBearerToken(bearer_token_file));
    request.headers.emplace_back("Authorization", absl::StrCat("Bearer ", token));
    storage::WipeString(token);
  }
  BeastClient::Options options;
  if (!ca_file.empty()) options.ca_bundle = ca_file;
  options.guard = guard;
  options.max_body = kMaxBody;
  ASSIGN_OR_RETURN(std::unique_ptr<BeastClient> client, BeastClient::Create(std::move(options)));
  std::optional<absl::StatusOr<HttpResponse>> answer;
  client->Send(std::move(request), kTimeout, [this, &answer](absl::StatusOr<HttpResponse> response) {
    absl::MutexLock lock(&mutex_);
    answer.emplace(std::move(response));
  });
  {
    absl::MutexLock lock(&mutex_);
    const auto ended = [this, &answer]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return stopped_ || answer.has_value(); };
    mutex_.Await(absl::Condition(&ended));
  }
  // From here on nothing is answered any more; a request that is under way ends with CANCELLED.
  client.reset();
  if (!answer->ok()) return answer->status();
  if ((*answer)->status != 200) {
    return absl::UnavailableError(absl::StrCat("the server answered with HTTP status ", (*answer)->status));
  }
  return std::string((*answer)->body);
}

void BlockingFetch::Stop() {
  absl::MutexLock lock(&mutex_);
  stopped_ = true;
}

}  // namespace keyferry::server
