# clang's thread-safety analysis over our code: every access to shared state holds the lock that its declaration names.
set -o pipefail
. deploy/lib.sh
base=$($BAZEL info output_base 2>/dev/null)
bin=$($BAZEL info bazel-bin 2>/dev/null)
$BAZEL fetch //... || { echo "the external sources cannot be had"; exit 1; }
# shellcheck disable=SC2046
$BAZEL build $($BAZEL query --keep_going 'kind(genrule, //...)' 2>/dev/null) || { echo "the generated code does not build"; exit 1; }
grpc=$base/external/grpc
includes=(-iquote . -iquote "$bin" -isystem proto -isystem "$bin/proto")
for folder in include . third_party/upb src/core/ext/upb-generated src/core/ext/upbdefs-generated; do
  includes+=(-isystem "$grpc/$folder")
done
includes+=(-isystem "$base/external/boringssl/src/include" -isystem "$bin/storage/records" -isystem storage/records)
defines=(-DSPDLOG_FMT_EXTERNAL -DFMT_HEADER_ONLY)
git ls-files -z -- 'storage/*.cc' 'metrics/*.cc' 'server/*.cc' 'client/*.cc' 'injector/*.cc' | grep -zv '_test\.cc$' |
  tests/lib/locking_sources.py | xargs -0 -n 1 -P "$(nproc)" clang++-14 -std=c++17 -fsyntax-only -Wno-everything -Wthread-safety \
    -Werror=thread-safety "${defines[@]}" "${includes[@]}"
