#ifndef KEYFERRY_TESTS_BENCH_FLAGS_H_
#define KEYFERRY_TESTS_BENCH_FLAGS_H_

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <string>

namespace keyferry::bench {

// The whole of a file; exits with a message if it cannot be read.
inline std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    std::cerr << path << ": cannot be read\n";
    std::exit(1);
  }
  return {std::istreambuf_iterator<char>(file), {}};
}

// `--name value` pairs; exits with a message on anything else.
inline std::map<std::string, std::string> ParseFlags(int argc, char** argv) {
  std::map<std::string, std::string> flags;
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i];
    if (name.rfind("--", 0) != 0 || i + 1 == argc) {
      std::cerr << "usage: " << argv[0] << " [--NAME VALUE]...\n";
      std::exit(64);
    }
    flags[name.substr(2)] = argv[i + 1];
  }
  return flags;
}

}  // namespace keyferry::bench

#endif  // KEYFERRY_TESTS_BENCH_FLAGS_H_
