#ifndef KEYFERRY_INJECTOR_EXEC_PROCESS_DESCRIPTION_H_
#define KEYFERRY_INJECTOR_EXEC_PROCESS_DESCRIPTION_H_

#include <functional>

#include "absl/time/time.h"
#include "keyferry/v1/processes.pb.h"

namespace keyferry::injector {

// Of a process that is watched for: the watch renews it, and it is how long the record outlives an injector that is
// killed. Longer than it takes to find the server again.
inline constexpr absl::Duration kWatchedLease = absl::Minutes(5);

// What the server is told of the process that values are for, so that a rotation can show who holds what: a new random
// id, the host's name, this process's id (the command's too, once it has replaced it), and the Kubernetes pod where
// KEYFERRY_POD ("namespace/name"), or POD_NAMESPACE and POD_NAME of the downward API, name it. What is not printable
// ASCII is left out: a launch does not fail for it.
v1::ProcessInfo DescribeProcess(const std::function<const char*(const char*)>& getenv, absl::Duration lease);

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_EXEC_PROCESS_DESCRIPTION_H_
