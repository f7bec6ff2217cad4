#!/bin/sh
# The quickstart, with less data, in a copy of its own and on a port of its own: quickstart_test.sh HEARTH
set -eu
hearth=$(realpath "$1")
example=$(realpath "$(dirname "$0")/../../../examples/quickstart")

place=$(mktemp -d "${TMPDIR:-/tmp}/hearth-quickstart.XXXXXX")
end() {
  "$hearth" --dir "$place/state/hearth" reset --yes --force >/dev/null 2>&1 || true
  rm -rf "$(readlink -f "$place/state/postgres")" "$place"
}
trap end EXIT
trap 'exit 1' HUP INT TERM

# What is in git, and nothing of a quickstart that runs there.
for file in run hearth.toml model.py generate.py redis/redis.conf postgres/pg nginx/start nginx/nginx.conf.in; do
  mkdir -p "$place/$(dirname "$file")"
  cp "$example/$file" "$place/$file"
done
mkdir "$place/state"

port='import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
HEARTH_QUICKSTART_PORT=$(python3 -c "$port")
export HEARTH_QUICKSTART_PORT HEARTH="$hearth" QUICKSTART_ITEMS=20000

# Twice: the second finds what the first has made, running.
"$place/run"
"$place/run" >"$place/second.txt" || { cat "$place/second.txt"; exit 1; }
grep -q 'initdb: completed' "$place/second.txt"
