#ifndef KEYFERRY_TESTS_INTEGRATION_WORLD_CONNECTIONS_H_
#define KEYFERRY_TESTS_INTEGRATION_WORLD_CONNECTIONS_H_

#include <string>

#include "absl/time/time.h"
#include "storage/store.h"

namespace keyferry::testing {

// A provider in text format, as CreateOauthProviderRequest takes it. Its endpoints are at an address that is never
// connected to, so that no test depends on a network; its secret contains World::kMarker.
std::string NewProvider(const std::string& org, const std::string& id);

// Puts into the store what a person's consent would have: a connection with tokens that contain World::kMarker, just
// refreshed at `now` and not due again. `parent` is e.g. "users/mia", "" for the organization. Ends the program if it
// cannot.
void PutConnection(storage::Store* store, absl::Time now, const std::string& org, const std::string& parent,
                   const std::string& provider);

}  // namespace keyferry::testing

#endif  // KEYFERRY_TESTS_INTEGRATION_WORLD_CONNECTIONS_H_
