#include "server/dev/dev_setup.h"

#include <unistd.h>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
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
      address(dev_dir + "/address") {}

absl::StatusOr<std::unique_ptr<storage::Store>> OpenDevStore(const DevPaths& paths, absl::Time now) {
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
  ASSIGN_OR_RETURN(auto store, storage::OpenStore(options, *key_provider));
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

absl::Status WriteDevAddress(const DevPaths& paths, const std::string& address) {
  return WritePrivateFile(paths.address, address + "\n");
}

}  // namespace keyferry::server
