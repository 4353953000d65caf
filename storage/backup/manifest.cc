#include "storage/backup/manifest.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "storage/backup/format.h"
#include "storage/crypto/secret_bytes.h"
#include "storage/status_macros.h"

namespace keyferry::storage {
namespace {

constexpr char kTimeFormat[] = "%Y-%m-%dT%H:%M:%SZ";
constexpr absl::string_view kMacWord = "mac ";

absl::Status Malformed(absl::string_view what) {
  return absl::DataLossError(absl::StrCat("MANIFEST is damaged: ", what));
}

bool IsHex(absl::string_view text) {
  return text.size() % 2 == 0 && std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isdigit(static_cast<unsigned char>(c)) || ('a' <= c && c <= 'f');
         });
}

// A name within the directory, never a path out of it.
bool IsFileName(absl::string_view name) {
  return absl::StartsWith(name, "entries-") && std::all_of(name.begin(), name.end(), [](char c) {
           return c == '-' || absl::ascii_isalnum(static_cast<unsigned char>(c));
         });
}

// Hands out the words of the lines in their fixed order.
class Lines {
 public:
  explicit Lines(std::vector<absl::string_view> lines) : lines_(std::move(lines)) {}

  absl::StatusOr<std::string> Take(absl::string_view word) {
    if (next_ >= lines_.size()) return Malformed(absl::StrCat("it ends before `", word, "`"));
    absl::string_view line = lines_[next_++];
    if (!absl::ConsumePrefix(&line, absl::StrCat(word, " "))) {
      return Malformed(absl::StrCat("line ", next_, " is not `", word, "`"));
    }
    return std::string(line);
  }
  absl::StatusOr<std::string> TakeHex(absl::string_view word) {
    ASSIGN_OR_RETURN(std::string text, Take(word));
    if (!IsHex(text)) return Malformed(absl::StrCat("`", word, "` is not in hexadecimal digits"));
    return text;
  }
  absl::StatusOr<uint64_t> TakeNumber(absl::string_view word) {
    ASSIGN_OR_RETURN(const std::string text, Take(word));
    uint64_t number = 0;
    if (!absl::SimpleAtoi(text, &number)) return Malformed(absl::StrCat("`", word, "` is not a number"));
    return number;
  }
  bool NextIs(absl::string_view word) const {
    return next_ < lines_.size() && absl::StartsWith(lines_[next_], absl::StrCat(word, " "));
  }

 private:
  const std::vector<absl::string_view> lines_;
  size_t next_ = 0;
};

absl::StatusOr<BackupManifest::File> ParseFile(const std::string& line) {
  const std::vector<std::string> words = absl::StrSplit(line, ' ');
  BackupManifest::File file;
  if (words.size() != 3 || !IsFileName(words[0]) || !absl::SimpleAtoi(words[1], &file.bytes) || !IsHex(words[2]) ||
      words[2].size() != 2 * kSha256Size) {
    return Malformed("a `file` line is not NAME BYTES SHA-256");
  }
  file.name = words[0];
  const std::string digest = absl::HexStringToBytes(words[2]);
  std::copy(digest.begin(), digest.end(), file.sha256.begin());
  return file;
}

absl::Status CheckVersion(absl::string_view word, absl::StatusOr<uint64_t> version) {
  RETURN_IF_ERROR(version.status());
  if (*version == kBackupVersion) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("the backup has `", word, "` version ", *version,
                                                    ", this program knows version ", kBackupVersion,
                                                    " only: use the release that wrote it, or a newer one"));
}

}  // namespace

uint64_t BackupManifest::TotalBytes() const {
  uint64_t bytes = 0;
  for (const File& file : files) bytes += file.bytes;
  return bytes;
}

std::string BackupManifest::EncodeWithoutMac() const {
  std::string text = absl::StrCat(kManifestMagic, " ", kBackupVersion, "\nstore ", store_id, "\nbackup ", backup_id,
                                  "\ntime ", absl::FormatTime(kTimeFormat, time, absl::UTCTimeZone()), "\nrevision ",
                                  revision, "\nentries ", entries, "\nheader ", absl::BytesToHexString(header), "\n");
  for (const File& file : files) {
    absl::StrAppend(&text, "file ", file.name, " ", file.bytes, " ", absl::BytesToHexString(View(file.sha256)), "\n");
  }
  return text;
}

std::string BackupManifest::Encode(const BackupKey& key) const {
  const std::string text = EncodeWithoutMac();
  return absl::StrCat(text, kMacWord, key.Mac(text), "\n");
}

absl::StatusOr<BackupManifest> BackupManifest::Parse(absl::string_view text) {
  std::vector<absl::string_view> split = absl::StrSplit(text, '\n');
  Lines lines(std::move(split));
  RETURN_IF_ERROR(CheckVersion(kManifestMagic, lines.TakeNumber(kManifestMagic)));
  BackupManifest manifest;
  ASSIGN_OR_RETURN(manifest.store_id, lines.TakeHex("store"));
  ASSIGN_OR_RETURN(manifest.backup_id, lines.TakeHex("backup"));
  ASSIGN_OR_RETURN(const std::string time, lines.Take("time"));
  std::string problem;
  if (!absl::ParseTime(kTimeFormat, time, &manifest.time, &problem)) return Malformed("`time` is not a time");
  ASSIGN_OR_RETURN(manifest.revision, lines.TakeNumber("revision"));
  ASSIGN_OR_RETURN(manifest.entries, lines.TakeNumber("entries"));
  ASSIGN_OR_RETURN(const std::string header, lines.TakeHex("header"));
  manifest.header = absl::HexStringToBytes(header);
  while (lines.NextIs("file")) {
    ASSIGN_OR_RETURN(const std::string line, lines.Take("file"));
    ASSIGN_OR_RETURN(File file, ParseFile(line));
    manifest.files.push_back(std::move(file));
  }
  RETURN_IF_ERROR(lines.TakeHex("mac").status());
  return manifest;
}

absl::Status BackupManifest::Authenticate(absl::string_view text, const BackupKey& key) const {
  if (ConstantTimeEquals(text, Encode(key))) return absl::OkStatus();
  return Malformed("it was changed, or is that of another store; its MAC does not hold");
}

}  // namespace keyferry::storage
