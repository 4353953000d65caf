# Every reason that the server gives is listed in docs/errors.md, and every listed one is given.
given=$(git grep -hoE '"[A-Z]{2,}(_[A-Z]+)+"|"CONFLICT"' -- 'server/*.cc' ':!*_test.cc' ':!*/testing_*.cc' ':!server/names.cc' | tr -d '"' |
  grep -v '^KEYFERRY' | sort -u)
listed=$(grep -oE '^\| [A-Z_]+ \| `[A-Z_]+`' docs/errors.md | grep -oE '`[A-Z_]+`' | tr -d '`' | sort -u)
[ -n "$given" ] && [ -n "$listed" ] || { echo "found no reasons"; exit 1; }
difference=$(diff <(echo "$listed") <(echo "$given"))
[ -z "$difference" ] || { echo "docs/errors.md (<) and the server (>) differ:"; echo "$difference"; exit 1; }
