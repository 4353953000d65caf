#ifndef KEYFERRY_CLIENT_CATALOGUE_CATALOGUE_H_
#define KEYFERRY_CLIENT_CATALOGUE_CATALOGUE_H_

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace keyferry::client {

// A ready definition of an OAuth provider: the text of client/catalogue/NAME.yaml, which names its source. It has
// neither a client id nor a secret; those are the organization's own.
struct CatalogueEntry {
  absl::string_view name;
  absl::string_view yaml;
};

// In order of name.
absl::Span<const CatalogueEntry> Catalogue();

// Null if there is none of that name.
const CatalogueEntry* FindInCatalogue(absl::string_view name);

}  // namespace keyferry::client

#endif  // KEYFERRY_CLIENT_CATALOGUE_CATALOGUE_H_
