// Runs a fuzz target over files named on the command line, and over every truncation and single-bit change of them, so
// that a plain build already proves that its seeds hold.
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

// Exact-size heap copies, so that AddressSanitizer sees a read past the end.
void RunOnce(const std::string& input) {
  const std::vector<uint8_t> copy(input.begin(), input.end());
  LLVMFuzzerTestOneInput(copy.data(), copy.size());
}

size_t RunVariants(const std::string& seed) {
  // Long seeds are sampled: about a thousand variants of each kind.
  const size_t step = seed.size() / 1000 + 1;
  size_t runs = 1;
  RunOnce(seed);
  for (size_t length = 0; length < seed.size(); length += step, ++runs) RunOnce(seed.substr(0, length));
  for (size_t i = 0; i < seed.size(); i += step, ++runs) {
    std::string changed = seed;
    changed[i] = static_cast<char>(changed[i] ^ (1 << (i % 8)));
    RunOnce(changed);
  }
  return runs;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: " << argv[0] << " SEED...\n";
    return 64;
  }
  size_t runs = 0;
  for (int i = 1; i < argc; ++i) {
    std::ifstream file(argv[i], std::ios::binary);
    if (!file) {
      std::cerr << argv[i] << ": cannot be read\n";
      return 1;
    }
    runs += RunVariants({std::istreambuf_iterator<char>(file), {}});
  }
  std::cout << runs << " inputs held\n";
  return 0;
}
