#include "storage/engine/memory/memory_engine.h"

#include "gtest/gtest.h"
#include "storage/engine/conformance.h"

namespace keyferry::storage {
namespace {

INSTANTIATE_TEST_SUITE_P(Memory, EngineConformanceTest,
                         testing::Values(EngineFactory{"Memory", [](const std::string&) { return NewMemoryEngine(); }}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace keyferry::storage
