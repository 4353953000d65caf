# The API passes buf's lint rules (proto/buf.yaml).
case $(uname -m) in
  aarch64) buf=tests/e2e/node_modules/@bufbuild/buf-linux-aarch64/bin/buf ;;
  *) buf=tests/e2e/node_modules/@bufbuild/buf-linux-x64/bin/buf ;;
esac
exec "$buf" lint proto
