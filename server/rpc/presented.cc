#include "server/rpc/presented.h"

#include <iterator>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "grpc/grpc_security_constants.h"

namespace keyferry::server {
namespace {

std::string PropertyOf(const grpc::AuthContext& peer, const char* name) {
  std::string text;
  for (const grpc::string_ref& value : peer.FindPropertyValues(name)) text.append(value.data(), value.size());
  return text;
}

}  // namespace

Presented::Presented(const grpc::CallbackServerContext& context) {
  const auto& metadata = context.client_metadata();
  const auto range = metadata.equal_range("authorization");
  if (range.first != range.second) {
    // Two of them could mean two things; neither is taken, nor a certificate in their place.
    if (std::next(range.first) != range.second) return;
    authorization_ = absl::string_view(range.first->second.data(), range.first->second.size());
    return;
  }
  const std::shared_ptr<const grpc::AuthContext> peer = context.auth_context();
  if (peer == nullptr) return;
  certificates_ = PropertyOf(*peer, GRPC_X509_PEM_CERT_PROPERTY_NAME);
  const std::string chain = PropertyOf(*peer, GRPC_X509_PEM_CERT_CHAIN_PROPERTY_NAME);
  // On a server the chain leaves the peer's own certificate out; should it not, it must not come twice.
  certificates_ = absl::StartsWith(chain, certificates_) ? chain : absl::StrCat(certificates_, chain);
}

}  // namespace keyferry::server
