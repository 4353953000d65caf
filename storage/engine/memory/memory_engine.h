#ifndef KEYFERRY_STORAGE_ENGINE_MEMORY_MEMORY_ENGINE_H_
#define KEYFERRY_STORAGE_ENGINE_MEMORY_MEMORY_ENGINE_H_

#include <memory>

#include "storage/engine/engine.h"

namespace keyferry::storage {

// A new, empty engine that keeps everything in memory and calls every commit durable. Every version of a key that a
// view may still ask for is kept. For tests.
std::unique_ptr<Engine> NewMemoryEngine();

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_ENGINE_MEMORY_MEMORY_ENGINE_H_
