#ifndef KEYFERRY_SERVER_OAUTH_PROVIDERS_UPDATE_MASK_H_
#define KEYFERRY_SERVER_OAUTH_PROVIDERS_UPDATE_MASK_H_

#include "absl/status/status.h"
#include "google/protobuf/field_mask.pb.h"
#include "keyferry/v1/oauth_providers.pb.h"

namespace keyferry::server {

// Puts the fields of `wanted` that the mask names into `definition`. A path names a field of the provider or one of a
// message in it, and replaces it whole; what `wanted` leaves out is cleared.
//
// The path `client` leaves a secret that `wanted` does not have as it is, since no answer has shown it to whoever sends
// the rest back; `client.client_secret` clears it. INVALID_ARGUMENT on `update_mask` for an empty mask, and for paths
// that name no field or one that an update cannot change.
absl::Status ApplyUpdateMask(const google::protobuf::FieldMask& mask, const v1::OauthProvider& wanted,
                             v1::OauthProvider* definition);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROVIDERS_UPDATE_MASK_H_
