#!/bin/sh
# ValidateService: the service must become healthy in time, and be the release this bundle holds.
set -u
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/lib.sh"
load_host
require_node

HEALTHY_SECONDS=${PROBE_SECONDS:-15}

pid_in "$pid_file" "$server" >/dev/null || fail "the service does not run; the end of $log: $(tail -n 3 "$log" 2>/dev/null)"
port=$(cat "$port_file" 2>/dev/null) || fail "$port_file is missing: start.sh has not run"
node "$here/probe.cjs" --port "$port" --pid-file "$pid_file" --within "$HEALTHY_SECONDS" \
  --release "$here/../release.json" || exit 1
