#include "client/catalogue/catalogue.h"

#include <algorithm>

#include "client/catalogue/entries.h"

namespace keyferry::client {

absl::Span<const CatalogueEntry> Catalogue() { return {kCatalogueEntries, kCatalogueSize}; }

const CatalogueEntry* FindInCatalogue(absl::string_view name) {
  const absl::Span<const CatalogueEntry> all = Catalogue();
  const auto found = std::find_if(all.begin(), all.end(), [&](const CatalogueEntry& one) { return one.name == name; });
  return found == all.end() ? nullptr : &*found;
}

}  // namespace keyferry::client
