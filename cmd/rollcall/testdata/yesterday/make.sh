#!/bin/sh
# Makes a data directory with the program as it was at a commit, and packs it as COMMIT.tar.gz beside this script:
#
#   sh cmd/rollcall/testdata/yesterday/make.sh COMMIT
#
# yesterday_test.go opens each of them with today's program. Add one before a release that changes how anything is
# stored; never make one again that is there. The keys in them are of make-believe devices, and open nothing else.
# It wants git, go, curl and tar.
set -eu
commit=${1:?which commit?}
here=$(cd "$(dirname "$0")" && pwd)
top=$(git -C "$here" rev-parse --show-toplevel)
[ ! -e "$here/$commit.tar.gz" ] || { echo "$commit.tar.gz is there already" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/source"
git -C "$top" archive "$commit" | tar -x -C "$work/source"
(cd "$work/source" && CGO_ENABLED=0 go build -o "$work/rollcall" ./cmd/rollcall)
cd "$work"
./rollcall demo --once --data data --devices 4 --days 3 --listen 127.0.0.1:18999 >demo.out

# A stranger knocks, and a device is forgotten.
./rollcall serve --data data --plain-http --listen 127.0.0.1:18999 --url http://127.0.0.1:18999 2>serve.out &
server=$!
curl -s --retry 50 --retry-connrefused --retry-delay 1 http://127.0.0.1:18999/readyz >/dev/null
curl -s -X PUT --data '{"a stranger": "knocks"}' http://127.0.0.1:18999/mdm/checkin >/dev/null
kill -TERM "$server"
wait "$server"
first=$(./rollcall replay --data data --type device.authenticated --json | head -1 | sed 's/.*"stream":"device-\([a-z2-7]*\)".*/\1/')
./rollcall keys erase-subject "$first" --data data --reason 'the fixture forgets one'
./rollcall audit export --data data --out bundle >/dev/null

rm -f data/log.db.lock
tar -c --sort=name --owner=0 --group=0 --mtime=@0 data bundle | gzip -n9 >"$here/$commit.tar.gz"
ls -l "$here/$commit.tar.gz"
