#!/bin/sh
# Usage: fetch_debian_source.sh PACKAGE ARCHIVE
# Downloads ARCHIVE of the Debian source package PACKAGE into the current folder through the machine's own apt
# configuration. The deb-src list is derived from the machine's deb entries and kept in a temporary apt state, so that
# the system's lists stay as they are.
set -eu
package=$1 archive=$2
state=$(mktemp -d)
trap 'rm -rf "$state"' EXIT
mkdir -p "$state/lists/partial" "$state/etc"
for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
  [ -e "$list" ] && sed -n 's/^deb /deb-src /p' "$list" >>"$state/etc/source.list"
done
for list in /etc/apt/sources.list.d/*.sources; do
  [ -e "$list" ] && sed 's/^Types:.*/Types: deb-src/' "$list" >"$state/etc/$(basename "$list")"
done
set -- -q -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$state/etc" -o "Dir::State::Lists=$state/lists" \
  -o APT::Sandbox::User=root
apt-get "$@" update
(cd "$state" && apt-get "$@" source --download-only "$package")
mv "$state/$archive" .
