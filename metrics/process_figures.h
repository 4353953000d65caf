#ifndef KEYFERRY_METRICS_PROCESS_FIGURES_H_
#define KEYFERRY_METRICS_PROCESS_FIGURES_H_

#include "absl/strings/string_view.h"
#include "metrics/exposition.h"

namespace keyferry::metrics {

// What every Prometheus client tells of its process, under the usual names, from /proc/self; and `version`, that of
// the build.
void WriteProcessFigures(absl::string_view version, Exposition* out);

}  // namespace keyferry::metrics

#endif  // KEYFERRY_METRICS_PROCESS_FIGURES_H_
