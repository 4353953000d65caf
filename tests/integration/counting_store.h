#ifndef KEYFERRY_TESTS_INTEGRATION_COUNTING_STORE_H_
#define KEYFERRY_TESTS_INTEGRATION_COUNTING_STORE_H_

#include <atomic>
#include <cstdint>
#include <memory>

#include "storage/store.h"

namespace keyferry::testing {

// A store that counts what calls ask of it and does it. Two calls that take the same reads differ in time by chance
// alone. `reads` must outlive the store; it counts views, records asked for and scans.
std::unique_ptr<storage::Store> MakeCountingStore(std::unique_ptr<storage::Store> store, std::atomic<int64_t>* reads);

}  // namespace keyferry::testing

#endif  // KEYFERRY_TESTS_INTEGRATION_COUNTING_STORE_H_
