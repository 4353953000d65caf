#ifndef KEYFERRY_CLIENT_CATALOGUE_ENTRIES_H_
#define KEYFERRY_CLIENT_CATALOGUE_ENTRIES_H_

#include <cstddef>

#include "client/catalogue/catalogue.h"

namespace keyferry::client {

// Made from the YAML files when this is built.
extern const CatalogueEntry kCatalogueEntries[];
extern const size_t kCatalogueSize;

}  // namespace keyferry::client

#endif  // KEYFERRY_CLIENT_CATALOGUE_ENTRIES_H_
