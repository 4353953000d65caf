# Every *_test.cc belongs to a test target, so that none can be forgotten.
. deploy/lib.sh
sources=$(git ls-files -- '*_test.cc' | sort)
targets=$($BAZEL query 'labels(srcs, tests(//...))' 2>/dev/null | sed 's|^//||; s|^:||; s|:|/|' | sort -u)
[ -n "$targets" ] || { echo "bazel query answered nothing"; exit 1; }
forgotten=$(comm -23 <(echo "$sources") <(echo "$targets"))
[ -z "$forgotten" ] || { echo "without a test target:"; echo "$forgotten"; exit 1; }
