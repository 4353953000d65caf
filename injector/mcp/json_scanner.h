#ifndef KEYFERRY_INJECTOR_MCP_JSON_SCANNER_H_
#define KEYFERRY_INJECTOR_MCP_JSON_SCANNER_H_

namespace keyferry::injector::mcp {

// A strict scanner of RFC 8259 that finds where values end without building anything. What readers of JSON disagree on
// is refused: nesting deeper than kMaxJsonDepth, and raw line breaks (also '\r') between tokens, which some readers of
// lines take as the end of one. Not checked, because it cannot change which member is which: UTF-8 and lone surrogates
// in strings, and keys that come twice, in values that are only skipped.

inline constexpr int kMaxJsonDepth = 512;

// The end of the value that starts at `begin` (no blanks before it), or nullptr if there is none.
const char* SkipJsonValue(const char* begin, const char* end);

// Past ' ' and '\t'.
const char* SkipJsonBlanks(const char* begin, const char* end);

}  // namespace keyferry::injector::mcp

#endif  // KEYFERRY_INJECTOR_MCP_JSON_SCANNER_H_
