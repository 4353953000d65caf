#include "injector/exec/process_description.h"

#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace keyferry::injector {
namespace {

constexpr size_t kMaxTextBytes = 256;
constexpr size_t kIdBytes = 16;

std::string Fitting(std::string text) {
  const bool fits = text.size() <= kMaxTextBytes &&
                    std::all_of(text.begin(), text.end(), [](unsigned char c) { return absl::ascii_isprint(c); });
  return fits ? text : "";
}

std::string PodOf(const std::function<const char*(const char*)>& getenv) {
  if (const char* pod = getenv("KEYFERRY_POD"); pod != nullptr) return Fitting(pod);
  const char* name = getenv("POD_NAME");
  const char* space = getenv("POD_NAMESPACE");
  if (name == nullptr || space == nullptr) return "";
  return Fitting(absl::StrCat(space, "/", name));
}

}  // namespace

v1::ProcessInfo DescribeProcess(const std::function<const char*(const char*)>& getenv, absl::Duration lease) {
  v1::ProcessInfo info;
  std::string id(kIdBytes, 0);
  // Without a random id there is no process to speak of.
  if (getrandom(&id[0], id.size(), 0) != static_cast<ssize_t>(id.size())) return info;
  info.set_process_id(absl::BytesToHexString(id));
  char host[kMaxTextBytes + 1] = {};
  if (gethostname(host, sizeof(host) - 1) == 0) info.set_host(Fitting(host));
  info.set_pod(PodOf(getenv));
  info.set_pid(getpid());
  info.mutable_lease()->set_seconds(absl::ToInt64Seconds(lease));
  return info;
}

}  // namespace keyferry::injector
