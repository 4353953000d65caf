#include "storage/engine/rocksdb/format.h"

namespace keyferry::storage {

void EncodeRevision(Revision revision, char* out) {
  for (size_t i = 0; i < kRevisionBytes; ++i) out[i] = static_cast<char>(revision >> (8 * i));
}

Revision DecodeRevision(const char* bytes) {
  Revision revision = 0;
  for (size_t i = 0; i < kRevisionBytes; ++i) {
    revision |= static_cast<Revision>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  }
  return revision;
}

std::string EncodeMeta(Revision bound) {
  std::string meta(1 + kRevisionBytes, kEngineFormatVersion);
  EncodeRevision(bound, meta.data() + 1);
  return meta;
}

}  // namespace keyferry::storage
