#ifndef KEYFERRY_INJECTOR_EXEC_EXPIRY_NOTICE_H_
#define KEYFERRY_INJECTOR_EXEC_EXPIRY_NOTICE_H_

#include <string>

#include "injector/source/resolved_environment.h"

namespace keyferry::injector {

// What a person is told of a command that nobody will give fresh values: which of its variables expire, and when the
// first does. "" if none does. Names only, never a value.
std::string ExpiryNotice(const ResolvedEnvironment& environment);

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_EXEC_EXPIRY_NOTICE_H_
