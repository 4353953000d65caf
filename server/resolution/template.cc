#include "server/resolution/template.h"

#include <cstring>

#include "server/mcpservers/definition.h"

namespace keyferry::server {
namespace {

// Calls `emit` with each piece of the result in order.
template <typename Emit>
void ForEachPiece(absl::string_view text, absl::string_view value, const Emit& emit) {
  size_t at = 0;
  for (size_t found = text.find(kTemplatePlaceholder); found != absl::string_view::npos;
       found = text.find(kTemplatePlaceholder, at)) {
    emit(text.substr(at, found - at));
    emit(value);
    at = found + kTemplatePlaceholder.size();
  }
  emit(text.substr(at));
}

}  // namespace

storage::SecretBytes ApplyTemplate(absl::string_view text, absl::string_view value) {
  // Measured first: growing would leave copies behind.
  size_t size = 0;
  ForEachPiece(text, value, [&](absl::string_view piece) { size += piece.size(); });
  storage::SecretBytes result(size);
  uint8_t* out = result.ExposeMutable().data();
  ForEachPiece(text, value, [&](absl::string_view piece) {
    if (!piece.empty()) std::memcpy(out, piece.data(), piece.size());
    out += piece.size();
  });
  return result;
}

}  // namespace keyferry::server
