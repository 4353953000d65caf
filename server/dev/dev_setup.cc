#include "server/dev/dev_setup.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/dev/certificates.h"
#include "server/directory/bootstrap.h"
#include "server/files.h"
#include "server/identity/authenticator.h"
#include "server/status_macros.h"
#include "storage/crypto/key_provider.h"
#include "storage/open.h"

namespace keyferry::server {
namespace {

constexpr char kOrg[] = "dev";
constexpr char kAdmin[] = "admin";
constexpr absl::Duration kTokenLifetime = absl::Hours(24 * 365);
constexpr absl::Duration kTokenReserve = absl::Hours(24 * 7);
constexpr char kAnyPort[] = "127.0.0.1:0";

// Whether 127.0.0.1:PORT can be listened on.
bool IsFree(absl::string_view address) {
  int port = 0;
  if (!absl::ConsumePrefix(&address, "127.0.0.1:") || !absl::SimpleAtoi(address, &port) || port <= 0 || port > 65535) {
    return false;
  }
  const int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return false;
  const int reuse = 1;
  setsockopt(probe, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof(reuse));
  sockaddr_in target{};
  target.sin_family = AF_INET;
  target.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  target.sin_port = htons(static_cast<uint16_t>(port));
  const bool free = bind(probe, reinterpret_cast<const sockaddr*>(&target), sizeof(target)) == 0;
  close(probe);
  return free;
}

bool IsKeptTokenGood(const DevPaths& paths, const DirectoryContext& context) {
  const absl::StatusOr<storage::SecretBytes> kept = ReadSmallFile(paths.token);
  if (!kept.ok() || !CheckPrivateFile(paths.token).ok()) return false;
  std::string authorization = absl::StrCat("Bearer ", absl::StripAsciiWhitespace(kept->Expose()));
  const auto caller = Authenticator(context.store, context.clock).Authenticate(authorization);
  storage::WipeString(authorization);
  return caller.ok() && (*caller)->org == kOrg && (*caller)->id == kAdmin && (*caller)->role == v1::ORG_ROLE_ADMIN &&
         (*caller)->token_expire_time > context.clock() + kTokenReserve;
}

}  // namespace

DevPaths::DevPaths(const std::string& data_dir)
    : data_dir(data_dir),
      dev_dir(data_dir + "/dev"),
      store_dir(data_dir + "/store"),
      kek(dev_dir + "/kek"),
      cert_file(dev_dir + "/server.pem"),
      key_file(dev_dir + "/server.key"),
      ca_file(dev_dir + "/ca.pem"),
      token(dev_dir + "/admin.token"),
      address(dev_dir + "/address"),
      http_address(dev_dir + "/http_address"),
      metrics_address(dev_dir + "/metrics_address") {}

absl::StatusOr<storage::OpenedStore> OpenDevStore(const DevPaths& paths, absl::Time now) {
  RETURN_IF_ERROR(EnsurePrivateDirectory(paths.data_dir));
  RETURN_IF_ERROR(EnsurePrivateDirectory(paths.dev_dir));
  // A missing KEK beside an existing store must not be replaced: the store's own error says what is lost.
  if (access(paths.kek.c_str(), F_OK) != 0 && access(paths.store_dir.c_str(), F_OK) != 0) {
    RETURN_IF_ERROR(storage::CreateKekFile(paths.kek));
  }
  ASSIGN_OR_RETURN(const auto key_provider, storage::LoadFileKeyProvider(paths.kek));
  storage::OpenOptions options;
  options.data_dir = paths.store_dir;
  options.create = true;
  ASSIGN_OR_RETURN(storage::OpenedStore store, storage::OpenStoreWithBackups(options, *key_provider));
  // Only the owner of the store's lock writes beside it.
  RETURN_IF_ERROR(EnsureDevCertificates(paths.dev_dir, now));
  return store;
}

absl::Status EnsureDevAdmin(const DevPaths& paths, const DirectoryContext& context) {
  RETURN_IF_ERROR(EnsureOrgWithAdmin(context, kOrg, v1::TIER_BUSINESS, kAdmin).status());
  if (IsKeptTokenGood(paths, context)) return absl::OkStatus();
  ASSIGN_OR_RETURN(const IssuedToken issued,
                   IssueTokenForUser(context, kOrg, kAdmin, "keyferryd --dev", kTokenLifetime));
  return WritePrivateFile(paths.token, issued.text.Expose());
}

std::string KeptHttpAddress(const DevPaths& paths) {
  const absl::StatusOr<storage::SecretBytes> kept = ReadSmallFile(paths.http_address);
  if (!kept.ok()) return kAnyPort;
  const std::string address(absl::StripAsciiWhitespace(kept->Expose()));
  return IsFree(address) ? address : kAnyPort;
}

absl::Status WriteDevAddresses(const DevPaths& paths, const std::string& address, const std::string& http_address,
                               const std::string& metrics_address) {
  RETURN_IF_ERROR(WritePrivateFile(paths.address, address + "\n"));
  RETURN_IF_ERROR(WritePrivateFile(paths.http_address, http_address + "\n"));
  return WritePrivateFile(paths.metrics_address, metrics_address + "\n");
}

}  // namespace keyferry::server
