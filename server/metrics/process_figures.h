#ifndef KEYFERRY_SERVER_METRICS_PROCESS_FIGURES_H_
#define KEYFERRY_SERVER_METRICS_PROCESS_FIGURES_H_

#include "server/metrics/exposition.h"

namespace keyferry::server {

// What every Prometheus client tells of its process, under the usual names, from /proc/self; and the build.
void WriteProcessFigures(Exposition* out);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_METRICS_PROCESS_FIGURES_H_
