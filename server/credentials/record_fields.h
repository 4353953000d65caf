#ifndef KEYFERRY_SERVER_CREDENTIALS_RECORD_FIELDS_H_
#define KEYFERRY_SERVER_CREDENTIALS_RECORD_FIELDS_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/timestamp.pb.h"

namespace keyferry::server {

// A record's incarnation: 16 random bytes, made with it.
std::string NewIncarnation();

// The etag of a record: changes with every change that its writer counts, differs between two records of the same name,
// says nothing about either, and survives a change of data keys.
std::string RecordEtag(absl::string_view incarnation, int64_t change_count);

// Nanoseconds since the epoch. INVALID_ARGUMENT naming `field` unless it is a time of the years 1970 to 2199.
absl::StatusOr<int64_t> NanosFrom(const google::protobuf::Timestamp& time, absl::string_view field);

google::protobuf::Timestamp TimestampFrom(int64_t unix_nanos);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_CREDENTIALS_RECORD_FIELDS_H_
