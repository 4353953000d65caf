#ifndef KEYFERRY_STORAGE_RECORD_H_
#define KEYFERRY_STORAGE_RECORD_H_

#include <cstdint>
#include <string>

#include "storage/crypto/secret_bytes.h"
#include "storage/engine/engine.h"
#include "storage/table.h"

namespace keyferry::storage {

// Names one record. Two keys are the same record if and only if all four members are equal. Nothing of a key is
// readable on disk: the engine sees keyed hashes, grouped so that an org, a table of it and a parent can be scanned.
struct RecordKey {
  Table table;
  // Organization id; empty for the few tables of the system space (see table.h).
  std::string org;
  // What the record belongs to, e.g. "teams/eng"; may be empty.
  std::string parent;
  // The record's own id within its parent, e.g. "GITHUB_TOKEN".
  std::string id;
};

// An opened record.
struct Record {
  SecretBytes payload;
  // The writer's version of this record, authenticated with it.
  uint64_t version = 0;
  // The commit that wrote it; use it as a precondition.
  Revision revision = 0;
};

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_RECORD_H_
