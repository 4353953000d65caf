# Shared by deploy/quickstart and tests/run; to be sourced. BAZEL is the bazel command with startup options, if any.
BAZEL=${BAZEL:-bazel}

# Runs a bazel command with output of the kind that fits: a progress display on a terminal, a line now and then elsewhere.
bazel_with_progress() {
  local command=$1
  shift
  if [ -t 2 ]; then
    $BAZEL "$command" --show_progress "$@"
  else
    $BAZEL "$command" --show_progress --curses=no --color=no --show_progress_rate_limit=15 "$@"
  fi
}

bazel_info() { $BAZEL info "$1" 2>/dev/null; }
