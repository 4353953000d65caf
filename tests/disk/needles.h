#ifndef KEYFERRY_TESTS_DISK_NEEDLES_H_
#define KEYFERRY_TESTS_DISK_NEEDLES_H_

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/strings/string_view.h"

namespace keyferry::testing {

// A set of texts to be looked for in files, each in clear and encoded: base64 at all three alignments in both
// alphabets, and hex in both cases.
class Needles {
 public:
  // `text` has at least 16 bytes, so that none of its encodings is found by chance.
  void Add(absl::string_view text);

  // What of the set occurs in `haystack`, one line each: which text (its first characters only) and in which encoding.
  std::vector<std::string> FindIn(absl::string_view haystack) const;

  size_t size() const { return count_; }

 private:
  struct Form {
    std::string bytes;
    std::string description;
  };
  void AddForm(std::string bytes, std::string description);

  // By the first 8 bytes.
  std::unordered_map<uint64_t, std::vector<Form>> forms_;
  size_t count_ = 0;
};

}  // namespace keyferry::testing

#endif  // KEYFERRY_TESTS_DISK_NEEDLES_H_
