#ifndef KEYFERRY_SERVER_AUDIT_LINE_SINK_H_
#define KEYFERRY_SERVER_AUDIT_LINE_SINK_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace keyferry::server {

// Where audit lines go: a file that is appended to, or standard output. Not thread-safe.
class LineSink {
 public:
  // The file is made with mode 0600 if it is missing. Errors say what and where.
  static absl::StatusOr<std::unique_ptr<LineSink>> OpenFile(const std::string& path);
  // Of a descriptor that stays open, e.g. standard output.
  static std::unique_ptr<LineSink> OnDescriptor(int fd);
  ~LineSink();
  LineSink(const LineSink&) = delete;
  LineSink& operator=(const LineSink&) = delete;

  // Takes all of `lines`, or none after an error. A file has them then; what a full pipe has no room for is kept for
  // the next Flush, and no more is taken before that.
  absl::Status Write(absl::string_view lines);
  // Writes what a full pipe had no room for.
  absl::Status Flush();
  // Makes what was written to a file durable.
  absl::Status Sync();

  bool is_file() const { return !path_.empty(); }
  // Of a file: what tells it from another one of the same name, and its size.
  struct Place {
    uint64_t device = 0;
    uint64_t inode = 0;
    int64_t size = 0;
  };
  absl::StatusOr<Place> FindPlace() const;
  // Takes away what stands behind the first `size` bytes.
  absl::Status Truncate(int64_t size);

 private:
  LineSink(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  absl::Status Failed(absl::string_view what, int error) const;
  absl::Status WriteToFile(absl::string_view lines);

  const int fd_;
  // "" for a descriptor of others.
  const std::string path_;
  std::string rest_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_AUDIT_LINE_SINK_H_
