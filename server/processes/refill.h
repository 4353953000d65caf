#ifndef KEYFERRY_SERVER_PROCESSES_REFILL_H_
#define KEYFERRY_SERVER_PROCESSES_REFILL_H_

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/processes/process_table.h"
#include "storage/store.h"

namespace keyferry::server {

// Takes in, after a start, the processes that the organizations' audit logs tell of and whose leases have not run out
// at `now`: of each organization at most the newest 100,000 entries. Which variables carried a credential is not in the
// log.
//
// Errors: the store's; DATA_LOSS if an entry does not parse.
absl::Status RefillProcesses(const storage::StoreView& view, absl::Time now, ProcessTable* processes);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_PROCESSES_REFILL_H_
