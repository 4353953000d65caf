#ifndef KEYFERRY_INJECTOR_LAUNCH_COPY_SELF_H_
#define KEYFERRY_INJECTOR_LAUNCH_COPY_SELF_H_

#include <string>

#include "injector/exec/exit_code.h"

namespace keyferry::injector::launch {

// Installs the running program as `directory`/keyferry-launch, executable by everybody and writable by nobody, in one
// step: at no moment is there half of it. The directory must exist and be no symbolic link. Exit code 0, or kUsage and
// why not.
Failure CopySelfTo(const std::string& directory);

}  // namespace keyferry::injector::launch

#endif  // KEYFERRY_INJECTOR_LAUNCH_COPY_SELF_H_
