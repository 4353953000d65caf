#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "server/config/sections.h"
#include "server/http/address_guard.h"

namespace keyferry::server {

absl::Status CheckOutbound(const config::Outbound& outbound) {
  const absl::StatusOr<AddressGuard> guard =
      AddressGuard::Create({outbound.allowed_addresses().begin(), outbound.allowed_addresses().end()});
  if (guard.ok()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("`outbound.allowed_addresses`: ", guard.status().message()));
}

}  // namespace keyferry::server
