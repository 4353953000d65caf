#ifndef KEYFERRY_CLIENT_AUDIT_FILE_H_
#define KEYFERRY_CLIENT_AUDIT_FILE_H_

#include <array>
#include <cstdint>
#include <istream>
#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "keyferry/v1/audit.pb.h"

namespace keyferry::client {

// One line of an audit file, with its newline: `{"org":"acme",` and the members of the entry in Protobuf's JSON
// mapping, or `{"org":"acme","head":{...}}`.
std::string AuditEntryLine(absl::string_view org, const v1::AuditEntry& entry);
std::string AuditHeadLine(absl::string_view org, const v1::AuditHead& head);

// A head in JSON, as `keyferry audit head -o json` prints it or as the last line of an export has it. INVALID_ARGUMENT
// "what: where; what to do".
absl::StatusOr<v1::AuditHead> ParseAuditHead(absl::string_view text, absl::string_view file_name);

// Follows the chains of audit files without a server: of one file or of several that continue one another, each line an
// entry or a head, of one organization or of several. Any edit, deletion, insertion or change of order breaks a chain,
// and so does a cut at the end if there is a head, or an expected one, to tell.
class AuditVerifier {
 public:
  // A head that was noted earlier: the chain must contain it, or begin right after it. It stands for the one
  // organization of the file; FAILED_PRECONDITION at the end if there are several.
  explicit AuditVerifier(std::optional<v1::AuditHead> expected) : expected_(std::move(expected)) {}

  // Reads one file to its end. An error says FILE:LINE, which entry, and what is wrong with it.
  absl::Status Read(std::istream& file, absl::string_view file_name);
  // After the last file: what is missing at the end.
  absl::Status Finish() const;

  uint64_t entry_count() const { return entry_count_; }
  // Whether each chain was followed to a head.
  bool ends_with_heads() const;

 private:
  using Digest = std::array<uint8_t, 32>;
  struct Chain {
    // Of the last entry that was read; 0 before the first.
    uint64_t sequence = 0;
    Digest hash{};
    // Of the first entry: what its own hash is made of and what it says that that is.
    uint64_t first = 0;
    Digest first_digest{};
    Digest first_hash{};
    // Whether what is before the first entry is known.
    bool anchored = false;
    // Whether the last line was a head.
    bool at_head = false;
    bool met_expected = false;
  };

  absl::Status ReadLine(const std::string& line);
  absl::Status Take(v1::AuditEntry entry, Chain* chain);
  absl::Status TakeHead(const v1::AuditHead& head, Chain* chain);
  // Checks the first entry of a chain against the hash before it.
  static absl::Status Anchor(absl::string_view previous_hash, Chain* chain);
  // What a head that was noted elsewhere says about the chain so far.
  absl::Status Compare(const v1::AuditHead& expected, Chain* chain) const;

  const std::optional<v1::AuditHead> expected_;
  std::map<std::string, Chain> chains_;
  uint64_t entry_count_ = 0;
};

}  // namespace keyferry::client

#endif  // KEYFERRY_CLIENT_AUDIT_FILE_H_
