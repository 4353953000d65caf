// What is left of <iostream> in programs that are compiled for size: declarations, without the object in every file
// that makes the standard streams, and with them the whole of the locales, part of the program. Nothing may use the
// streams; Abseil only does before it aborts.
#ifndef KEYFERRY_THIRD_PARTY_ABSEIL_IOSTREAM_DECLARATIONS_H_
#define KEYFERRY_THIRD_PARTY_ABSEIL_IOSTREAM_DECLARATIONS_H_

#include <istream>
#include <ostream>

namespace std {

extern ostream cout;
extern ostream cerr;

}  // namespace std

#endif  // KEYFERRY_THIRD_PARTY_ABSEIL_IOSTREAM_DECLARATIONS_H_
